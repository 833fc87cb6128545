// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "manager",
    products: [
        .executable(name: "manager", targets: ["manager"]),
        .library(name: "EventLog", targets: ["EventLog"]),
        .library(name: "Projections", targets: ["Projections"]),
        // For tests: it ends the real binary at a call of their choice.
        .library(name: "KillAtCall", type: .dynamic, targets: ["KillAtCall"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", path: "Sources/EventLog/CZlib"),
        .target(name: "CScan", path: "Sources/EventLog/CScan", cSettings: [.unsafeFlags(["-O2"])]),
        .target(
            name: "EventLog",
            dependencies: [
                "CZlib", "CScan",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            exclude: ["CZlib", "CScan"],
            swiftSettings: strict
        ),
        .target(
            name: "Projections",
            dependencies: [
                "EventLog", "CScan",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "manager",
            dependencies: [
                "EventLog", "Projections", "CScan",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [
                .embedInCode("HTTP/Description/openapi.json"),
                .embedInCode("Dashboard/Assets/dashboard.html"),
                .embedInCode("Dashboard/Assets/dashboard.css"),
                .embedInCode("Dashboard/Assets/dashboard.js"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "TestSupport",
            dependencies: ["EventLog", "Projections"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .target(name: "KillAtCall", path: "Tests/KillAtCall", linkerSettings: [.linkedLibrary("dl")]),
        .testTarget(
            name: "EventLogTests", dependencies: ["EventLog", "CScan", "CZlib", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ProjectionsTests",
            dependencies: ["Projections", "TestSupport", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict),
        .testTarget(
            name: "ManagerTests",
            dependencies: [
                "manager", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "manager", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: strict),
    ]
)

// What `make bench` compares with; nobody else builds it.
if Context.environment["MANAGER_BENCHMARKS"] != nil {
    package.targets.append(
        .executableTarget(
            name: "http-yardstick", dependencies: [.product(name: "Hummingbird", package: "hummingbird")],
            path: "Benchmarks/http_yardstick", swiftSettings: strict))
}

// The thread sanitizer does not see the kernel's part of a mutex: `make sanitize` brings one of its own.
if Context.environment["MANAGER_SANITIZER"] == "thread" {
    package.targets.append(.target(name: "TracedMutex", path: "Tests/TracedMutex"))
    for target in package.targets where ["manager", "TestSupport"].contains(target.name) {
        target.dependencies.append("TracedMutex")
    }
}

// `make fuzz` sets it to libFuzzer's archive: the manager as a library, for one program that drives its readers.
if let fuzzer = Context.environment["MANAGER_FUZZER"] {
    let instrumented: [SwiftSetting] = [
        .unsafeFlags(["-sanitize=fuzzer", "-Xfrontend", "-entry-point-function-name", "-Xfrontend", "manager_main"])
    ]
    package.products = [.executable(name: "fuzz", targets: ["fuzz"])]
    package.targets = package.targets.compactMap { target in
        switch target.type {
        case .test: return nil
        case .executable:
            return target.name != "manager"
                ? nil
                : .target(
                    name: target.name, dependencies: target.dependencies, resources: target.resources,
                    swiftSettings: strict + instrumented)
        default:
            if target.name == "KillAtCall" { return nil }
            if target.name == "CScan" {
                target.cSettings = [.unsafeFlags(["-O2", "-fsanitize=fuzzer-no-link"])]
            } else if target.type != .system {
                target.swiftSettings = strict + instrumented
            }
            return target
        }
    }
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/Fuzzer/CFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CFuzzer", "manager", "EventLog", "Projections", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests", exclude: ["Fuzzer/CFuzzer"], sources: ["Fuzzer", "ManagerTests/Fuzzing"],
            swiftSettings: strict, linkerSettings: [.unsafeFlags([fuzzer]), .linkedLibrary("stdc++")]),
    ]
}
