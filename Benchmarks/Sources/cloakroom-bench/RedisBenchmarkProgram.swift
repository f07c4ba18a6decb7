import Foundation

/// Runs Redis' own load generator.
struct RedisBenchmarkProgram {
    struct Rates {
        /// `-c 1 -P 64`: one connection, 64 commands at a time.
        let pipelined: Double
        /// `-c 64 -P 1`: 64 connections, one command at a time.
        let parallel: Double
    }

    func rates(url: String) throws -> Rates {
        Rates(
            pipelined: try median(url: url, ["-c", "1", "-P", "64", "-n", "600000"]),
            parallel: try median(url: url, ["-c", "64", "-P", "1", "-n", "200000"]))
    }

    private func median(url: String, _ arguments: [String]) throws -> Double {
        try (0..<3).map { _ in try rate(url: url, arguments) }.sorted()[1]
    }

    private func rate(url: String, _ arguments: [String]) throws -> Double {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["redis-benchmark", "-u", url, "-d", "2048", "-r", "1000", "--csv"] + arguments + ["GET", "bench:client:1"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        // "test","rps",… then "GET bench…","285714.28",…
        guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("\"GET") }),
            let figure = line.split(separator: ",").dropFirst().first.map({ $0.filter { $0 != "\"" } }),
            let rate = Double(figure)
        else { throw BenchmarkError.noFigure("redis-benchmark") }
        return rate
    }
}
