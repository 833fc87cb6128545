import Crypto
import EventLog
import HTTPTypes
import Hummingbird
import NIOCore

/// What is built into the program and served as it is: the dashboard and the description of the interface.
enum AssetRoutes {
    private struct Asset: Sendable {
        let path: RouterPath
        let type: String
        let bytes: [UInt8]
    }

    /// Scripts, styles and requests of this page alone; nothing in line, nothing from elsewhere, in nobody's frame.
    static let pagePolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    private static let assets = [
        Asset(path: "/", type: "text/html; charset=utf-8", bytes: PackageResources.dashboard_html),
        Asset(path: "/assets/dashboard.css", type: "text/css; charset=utf-8", bytes: PackageResources.dashboard_css),
        Asset(
            path: "/assets/dashboard.js", type: "text/javascript; charset=utf-8", bytes: PackageResources.dashboard_js),
        Asset(path: "/openapi.json", type: "application/json", bytes: PackageResources.openapi_json),
    ]

    static func add(to router: RouteSet.Routes) {
        for asset in assets {
            let buffer = ByteBuffer(bytes: asset.bytes)
            let tag = "\"\(hexString(SHA256.hash(data: asset.bytes)).prefix(16))\""
            var headers: HTTPFields = [.contentType: asset.type, .cacheControl: "no-cache", .eTag: tag]
            if let policy = HTTPField.Name("Content-Security-Policy") { headers[policy] = pagePolicy }
            let fields = headers
            router.get(asset.path) { request, _ in
                if EntityTag.stands(tag, in: request) { return Response(status: .notModified, headers: fields) }
                return Response(status: .ok, headers: fields, body: .init(byteBuffer: buffer))
            }
        }
    }
}
