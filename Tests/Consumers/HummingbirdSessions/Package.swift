// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "HummingbirdSessions",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "cloakroom", path: "../../..", traits: ["Hummingbird"]),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0"),
    ],
    targets: [
        .executableTarget(
            name: "HummingbirdSessions",
            dependencies: [
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "CloakroomHTTP", package: "cloakroom"),
                .product(name: "CloakroomHummingbird", package: "cloakroom"),
                .product(name: "CloakroomHummingbirdRedis", package: "cloakroom"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
