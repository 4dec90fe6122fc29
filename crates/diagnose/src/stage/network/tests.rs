//! Set-ups that are broken on purpose, one for each row of the failure catalogue that can be had on
//! one machine; and healthy ones, which no check may take for broken.

mod challenge;
mod clocks;
mod fixture;
mod healthy;
mod local;
mod ping;
mod reach;
mod stopped;

use crate::Check;

/// Rows of the catalogue, the check that names them, and how it answers: what `docs/diagnose.md`
/// is made of. Each has a test below this module.
pub(crate) const ROWS: &[(&str, Check, &str)] = &[
    ("F01", Check::Net01, "fail"),
    ("F01", Check::Chal05, "fail"),
    ("F02", Check::Chal05, "fail"),
    ("F03", Check::Chal06, "fail"),
    ("F04", Check::Chal04, "fail"),
    ("F05", Check::Net02, "fail"),
    ("F05", Check::Net05, "fail"),
    ("F06", Check::Net02, "fail"),
    ("F06", Check::Ping03, "fail"),
    ("F07", Check::Net04, "fail"),
    ("F08", Check::Net05, "fail"),
    ("F09", Check::Net04, "fail"),
    ("F10", Check::Net04, "fail"),
    ("F10", Check::Net05, "fail"),
    ("F11", Check::Net03, "fail"),
    ("F11", Check::Net05, "fail"),
    ("F12", Check::Cfg05, "fail"),
    ("F13", Check::Net01, "warn"),
    ("F13", Check::Chal03, "fail"),
    ("F14", Check::Net06, "fail"),
    ("F20", Check::Ping02, "fail"),
    ("F21", Check::Ping03, "fail"),
    ("F22", Check::Ping03, "fail"),
    ("F23", Check::Ping01, "fail"),
    ("F24", Check::Ping04, "fail"),
    ("F25", Check::Chal01, "fail"),
    ("F26", Check::Chal01, "fail"),
    ("F27", Check::Chal02, "fail"),
    ("F28", Check::Chal03, "fail"),
    ("F29", Check::Chal03, "fail"),
    ("F30", Check::Chal05, "fail"),
    ("F31", Check::Ping05, "fail"),
    ("F31", Check::Chal09, "fail"),
    ("F32", Check::Cfg02, "skip"),
    ("F77", Check::Net07, "fail"),
    ("F140", Check::Cfg03, "fail"),
    ("F141", Check::Cfg02, "fail"),
    ("F142", Check::Cfg02, "warn"),
    ("F143", Check::Cfg01, "fail"),
    ("F145", Check::Cfg02, "warn"),
];
