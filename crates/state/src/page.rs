//! Pages of lists.

/// Most items a page holds, whatever was asked for: nobody's number decides how much we allocate
/// (CVE-2023-2253).
pub const MAX_PAGE: usize = 10_000;

/// Part of a list in ASCII order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Whether others follow. Never after a page of length zero was asked for (OC21).
    pub more: bool,
}
