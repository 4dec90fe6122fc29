//! Many small requests at once, by wrk.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use portpass_testkit::run;

use crate::{report::Sample, world::Server};

/// What is asked for, over and over.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub paths: &'a [String],
    /// Of every answer.
    pub status: u16,
    pub connections: usize,
    pub seconds: u32,
}

impl Load<'_> {
    /// Runs it, and says what came of it and what the server used for it.
    pub(crate) fn run(&self, server: &Server, scratch: &Path) -> Sample {
        let script = scratch.join("load.lua");
        fs::write(&script, self.script(server)).unwrap();
        let threads = self.connections.min(2).to_string();
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", &threads, "-c", &self.connections.to_string()])
            .args(["-d", &format!("{}s", self.seconds), "--timeout", "10s", "-s"])
            .args([script.to_str().unwrap(), &format!("http://{}", server.address)]);
        let before = server.process.cpu();
        let ran = run(&mut wrk, "");
        let used = server.process.cpu().saturating_sub(before);
        ran.expect_success();
        let said = ran.output();
        let line = said.lines().find_map(|line| line.strip_prefix("RESULT ")).expect(&said);
        let words: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let &[requests, microseconds, p50, p99, wrong, broken] = words.as_slice() else {
            panic!("{line}");
        };
        let bad = if self.status < 400 { wrong } else { requests - wrong };
        assert!(bad == 0.0 && broken == 0.0, "{bad} wrong answers, {broken} broken: {self:?}");
        Sample {
            rate: requests / microseconds * 1e6,
            cpu: Some(used.as_secs_f64() * 1000.0 / requests),
            p50: Some(p50 / 1000.0),
            p99: Some(p99 / 1000.0),
        }
    }

    /// wrk counts answers of 400 and above apart.
    fn script(&self, server: &Server) -> String {
        // distribution gives no manifest to those who do not ask for its kind.
        let mut script = String::from(
            "local requests = {}\nwrk.headers['Accept'] = 'application/vnd.oci.image.manifest.v1+json, */*'\n",
        );
        if let Some(authorization) = &server.authorization {
            writeln!(script, "wrk.headers['Authorization'] = '{authorization}'").unwrap();
        }
        script += "local paths = {\n";
        for path in self.paths {
            writeln!(script, "'{path}',").unwrap();
        }
        script += "}\n";
        script += TAIL;
        script
    }
}

const TAIL: &str = r#"
local at = 0
function init(args)
  for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, all)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"#;
