import Foundation
import TestKit
import Testing

/// `scripts/install`, and the unit for systemd.
@Suite struct InstallTests {
    @Test func `it installs the command, completions and a manual page`() throws {
        let folder = TemporaryFolder()
        let script = Tool.root + "/scripts/install"
        let run = try Tool.run(
            folder("usr"), environment: ["TIDEWHEEL_BINARY": Tool.binary], executable: script)
        #expect(run.status == 0, "\(run.errors)")
        let help = try Tool.run("--help", executable: folder("usr/bin/tidewheel"))
        #expect(help.status == 0 && help.output.contains("USAGE: tidewheel"))
        let completion = folder.text("usr/share/bash-completion/completions/tidewheel")
        #expect(completion.contains("tidewheel"))
        #expect(folder.text("usr/share/zsh/site-functions/_tidewheel").hasPrefix("#compdef"))
        #expect(
            folder.text("usr/share/fish/vendor_completions.d/tidewheel.fish")
                .contains("complete -c"))
        let check = try Tool.run(
            "-n", folder("usr/share/bash-completion/completions/tidewheel"),
            executable: "/bin/bash")
        #expect(check.status == 0, "\(check.errors)")
        let page = folder.text("usr/share/man/man1/tidewheel.1")
        #expect(page.hasPrefix(".TH TIDEWHEEL 1"))
        for verb in ["run", "queue receive", "dlq replay", "store repair", "docs"] {
            #expect(page.contains(".SS \"\(verb)\"\n"), "\(verb)")
        }
        #expect(page.contains("\\-\\-log\\-format"))
        // A line that begins with a dot is a command of man; there are no others than ours.
        let commands = Set(
            page.split(separator: "\n").filter { $0.hasPrefix(".") }
                .map { $0.prefix { $0 != " " } })
        #expect(commands == [".TH", ".SH", ".SS", ".nf", ".fi", ".B", ".I"])
    }

    @Test func `the unit names verbs and options that there are`() throws {
        let path = Tool.root + "/examples/systemd/tidewheel@.service"
        let unit = try String(contentsOfFile: path, encoding: .utf8)
        let help = try ["run", "reload"].map { try Tool.run("help", $0).output }.joined()
        for key in ["ExecStart", "ExecReload"] {
            let line = try #require(
                unit.split(separator: "\n").first { $0.hasPrefix("\(key)=") })
            let words = line.split(separator: " ")
            #expect(words[0] == "\(key)=/usr/local/bin/tidewheel")
            #expect(["run", "reload"].contains(words[1]))
            for option in words where option.hasPrefix("--") {
                #expect(help.contains("\(option) "), "\(option)")
            }
        }
    }
}
