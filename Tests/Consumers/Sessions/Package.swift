// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Sessions",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "cloakroom", path: "../../..", traits: [])],
    targets: [
        .executableTarget(
            name: "Sessions",
            dependencies: [
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "CloakroomRedis", package: "cloakroom"),
                .product(name: "CloakroomHTTP", package: "cloakroom"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
