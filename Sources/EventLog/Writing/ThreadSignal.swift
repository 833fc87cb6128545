import CScan
import Glibc
import Synchronization

/// Wakes threads that wait for something to change: a counter, a mutex and a condition.
///
/// Take a ticket, look, and wait past the ticket: a change between looking and waiting is not missed.
final class ThreadSignal: @unchecked Sendable {  // the pthread objects are made for use from many threads
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var changes: UInt64 = 0

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// The number of changes so far.
    func ticket() -> UInt64 {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return changes
    }

    /// Says that something changed, to all who wait.
    func notify() {
        pthread_mutex_lock(mutex)
        changes += 1
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Blocks until there was a change after the ticket.
    func wait(past ticket: UInt64) {
        pthread_mutex_lock(mutex)
        while changes == ticket { pthread_cond_wait(condition, mutex) }
        pthread_mutex_unlock(mutex)
    }
}

/// Runs `body` on a new thread, named for debuggers (15 bytes at most).
public func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(ThreadBody(name: name, run: body))
    var thread = pthread_t()
    let status = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
            clinux_name_thread(String(body.name.prefix(15)))
            body.run()
            return nil
        }, box.toOpaque())
    precondition(status == 0, "cannot start thread \(name): error \(status)")
    pthread_detach(thread)
}

private final class ThreadBody: Sendable {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

/// Lets other threads go before the calling one from now on: for work that may take as long as it likes.
public func yieldToOtherThreads() { clinux_yield_to_others() }
