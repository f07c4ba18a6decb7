import Foundation
import Testing

@testable import CloakroomGateway

@Suite struct LogWriterTests {
    /// A pipe whose ends this test holds.
    private func withPipe(_ body: (_ reading: Int32, _ writing: Int32) throws -> Void) throws {
        let pipe = Pipe()
        try body(pipe.fileHandleForReading.fileDescriptor, pipe.fileHandleForWriting.fileDescriptor)
    }

    /// What comes until it is enough, or until nothing came for five seconds.
    private func read(_ descriptor: Int32, until isEnough: (String) -> Bool) -> String {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !isEnough(String(decoding: all, as: UTF8.self)) {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Foundation.poll(&poll, 1, 5000) > 0 else { break }
            let count = Foundation.read(descriptor, &chunk, chunk.count)
            guard count > 0 else { break }
            all += chunk.prefix(count)
        }
        return String(decoding: all, as: UTF8.self)
    }

    @Test("lines are written whole and in their order, by any number of threads, and a flush waits for them")
    func order() async throws {
        let pipe = Pipe()
        let writer = LogWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, format: .text)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask { for number in 0..<100 { writer.write("\(task) \(number)\n") } }
            }
        }
        writer.flush()
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").compactMap { Int($0) } }
        #expect(lines.count == 400)
        for task in 0..<4 { #expect(lines.filter { $0[0] == task }.map { $0[1] } == Array(0..<100)) }
    }

    @Test("R50: a pipe that nobody reads holds nobody up; what does not fit is dropped, and counted in the log")
    func fullPipe() throws {
        try withPipe { reading, writing in
            let writer = LogWriter(descriptor: writing, format: .json, capacity: 100_000)
            let line = String(repeating: "x", count: 999) + "\n"
            let start = ContinuousClock.now
            for _ in 0..<10_000 { writer.write(line) }
            #expect(ContinuousClock.now - start < .seconds(5))
            writer.flush(atMost: .milliseconds(10))
            // The writer may come to tell of dropped lines more than once: before it meets the full pipe, and after.
            func kept(_ text: String) -> Int { text.split(separator: "\n").count { $0.count == 999 } }
            func dropped(_ text: String) -> Int {
                text.matches(of: #/"count":"(\d+)"/#).compactMap { Int($0.1) }.reduce(0, +)
            }
            let text = read(reading) { $0.hasSuffix("\n") && kept($0) + dropped($0) >= 10_000 }
            #expect(kept(text) + dropped(text) == 10_000)
            #expect(kept(text) < 1000)
            writer.write("after\n")
            #expect(read(reading) { $0.contains("after") } == "after\n")
        }
    }

    @Test("a file that can't be written to loses its lines, and nothing else")
    func closed() throws {
        let writer = LogWriter(descriptor: 1_000_000, format: .text)
        for _ in 0..<100 { writer.write("lost\n") }
        writer.flush()
    }
}
