//! `version`: which program this is.

use super::Context;

/// Says it as `--version` does.
pub(crate) fn run(context: &Context) {
    context.printer.line(concat!("portpass ", env!("CARGO_PKG_VERSION")));
}
