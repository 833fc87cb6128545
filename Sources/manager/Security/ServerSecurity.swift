import Logging

/// Everything that decides who may speak to a running manager.
struct ServerSecurity: Sendable {
    /// Nil: nobody has to say who it is.
    var tokens: TokenStore?
    /// Nil: both ports speak without encryption.
    var tls: TLSStore?
    /// Host names besides the listen address by which it is called.
    var allowedHosts: Set<String> = []
    /// Whether the workers' old form is taken from other machines although tokens are configured.
    var allowsTokenlessWorkers = false
    /// Wrong tokens by address.
    var logins: LoginGuard

    /// A manager without tokens and TLS, which listens on this machine only.
    static func loopback(_ logger: Logger) -> ServerSecurity { ServerSecurity(logins: LoginGuard(logger)) }

    /// Why it must not listen there; nil where it may. Beyond this machine tokens and TLS are due, unless that is waived.
    func objection(to endpoint: Endpoint, flag: String, isInsecure: Bool) -> String? {
        guard !endpoint.isLoopback, !isInsecure, tokens == nil || tls == nil else { return nil }
        let missing = [tokens == nil ? "--tokens" : nil, tls == nil ? "--tls-cert and --tls-key" : nil].compactMap {
            $0
        }.joined(separator: ", ")
        return "\(flag) \(endpoint) can be reached from other machines, and \(missing) are missing: "
            + "add them, or say --insecure where every machine and user that reaches this port may do everything"
    }
}
