import Hummingbird

// Hummingbird's empty answer: what an HTTP server on this machine costs that does nothing. Use: http-yardstick PORT
guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]) else {
    fatalError("usage: http-yardstick PORT")
}
let router = Router()
router.get("/") { _, _ in Response(status: .ok) }
let yardstick = Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)))
try await yardstick.runService()
