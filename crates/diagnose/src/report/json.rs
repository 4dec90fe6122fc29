//! For programs: `portpass.diagnose/1`, described in `docs/diagnose.md`.

use serde_json::{Value, json};

use super::{Report, VERSION, clean};
use crate::{Check, Exchange, Finding};

pub(super) fn of(report: &Report, trace: bool) -> Value {
    let mut document = json!({
        "schema": "portpass.diagnose/1",
        "version": VERSION,
        "time": report.provenance.time(),
        "command": clean(&report.provenance.command),
        "target": report.target.to_string(),
        "verdict": report.verdict(),
        "cause": report.cause().map(|cause| cause.check.id()),
        "not_reached": report.unreached().map(|unreached| json!({
            "stages": unreached.stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>(),
            "because": unreached.why.to_string(),
        })),
        "checks": report.findings.iter().map(check).collect::<Vec<_>>(),
    });
    if trace {
        document["exchanges"] = report.exchanges.iter().map(exchange).collect();
    }
    document
}

fn check(finding: &Finding) -> Value {
    json!({
        "id": finding.check.id(),
        "verdict": finding.verdict.as_str(),
        "summary": clean(&finding.summary),
        "evidence": lines(&finding.evidence),
        "breaks": finding.breaks.iter().map(|peer| peer.as_str()).collect::<Vec<_>>(),
        "fix": finding.fix.as_deref().map(clean),
        "follows_from": finding.follows_from.map(Check::id),
        "rows": finding.rows,
    })
}

fn exchange(exchange: &Exchange) -> Value {
    json!({ "request": lines(&exchange.request), "answer": lines(&exchange.answer) })
}

fn lines(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| clean(line)).collect()
}
