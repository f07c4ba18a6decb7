import Foundation
import HTTP1Check
import Testing

@Suite struct CorpusTests {
    @Test("R39: what the fuzzer has found to reach all of the codec is read alike in pieces, and as NIO reads it")
    func corpus() throws {
        let directory = try #require(Bundle.module.url(forResource: "Corpus", withExtension: nil))
        let files = try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        #expect(files.count > 100)
        for file in files {
            let problem = HTTP1Check.problem(with: Array(try Data(contentsOf: file)))
            #expect(problem == nil, "\(file.lastPathComponent)")
        }
    }
}
