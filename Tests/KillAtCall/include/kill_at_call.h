#ifndef KILL_AT_CALL_H
#define KILL_AT_CALL_H

/// Loaded into a program by LD_PRELOAD, it counts the calls that change files or make them durable, and ends the
/// process by SIGKILL in one of them. Nothing is to be called.
///
/// KILL_AT_CALL=N: before call N; N.5: in the middle of it, where that call writes bytes, else after it.
/// KILL_COUNT_TO=PATH: the number of calls is written there when the program ends by itself.

#endif
