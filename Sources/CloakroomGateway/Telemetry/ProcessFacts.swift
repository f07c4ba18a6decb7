import Foundation

/// What the system says of this process.
enum ProcessFacts {
    static func families() -> [MetricFamily] {
        var all = [
            MetricFamily(
                "process_cpu_seconds_total", .counter, "Processor time, user and system, in seconds.", processorTime())
        ]
        func add(_ name: String, _ help: String, _ value: Double?) {
            if let value { all.append(MetricFamily(name, .gauge, help, value)) }
        }
        var limit = rlimit()
        if getrlimit(descriptorLimit, &limit) == 0 {
            add("process_max_fds", "The largest number of open file descriptors.", Double(limit.rlim_cur))
        }
        #if os(Linux)
        // Itself the directory that is read.
        let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count - 1
        add("process_open_fds", "Open file descriptors.", open.map(Double.init))
        let memory = pages()
        add("process_virtual_memory_bytes", "Virtual memory in bytes.", memory?.virtual)
        add("process_resident_memory_bytes", "Resident memory in bytes.", memory?.resident)
        add("process_start_time_seconds", "When the process began, in seconds since 1970.", startTime)
        #endif
        return all
    }

    private static func processorTime() -> Double {
        var usage = rusage()
        #if os(Linux)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
        getrusage(RUSAGE_SELF, &usage)
        #endif
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    #if os(Linux)
    private static let descriptorLimit = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

    private static func pages() -> (virtual: Double, resident: Double)? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        let numbers = text.split(separator: " ").prefix(2).compactMap { Double($0) }
        guard numbers.count == 2 else { return nil }
        let size = Double(sysconf(Int32(_SC_PAGESIZE)))
        return (numbers[0] * size, numbers[1] * size)
    }

    /// It does not change.
    private static let startTime: Double? = {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let all = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let line = all.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let boot = Double(line.dropFirst("btime ".count)),
            // The program's name, in parentheses, may hold anything.
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        // The 22nd in all, and the first after the name is the third.
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()
    #else
    private static let descriptorLimit = RLIMIT_NOFILE
    #endif
}
