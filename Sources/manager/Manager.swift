import ArgumentParser
import AsyncHTTPClient
import Hummingbird
import Subprocess
import Yams
@main struct Manager: AsyncParsableCommand {}
