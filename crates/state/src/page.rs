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

impl<T> Page<T> {
    /// A page of at most `limit` items out of a list that was read one item further.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let limit = capped(limit);
        let more = limit > 0 && items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

/// What a list is read to, so that [`Page::cut`] knows whether others follow.
pub(crate) fn one_further(limit: usize) -> usize {
    capped(limit) + 1
}

/// Never more than [`MAX_PAGE`].
pub(crate) fn capped(limit: usize) -> usize {
    limit.min(MAX_PAGE)
}

/// What the names of a page come after. No name has a NUL, so what follows one in `last` decides
/// nothing; and not every database takes one in a text (`OC27b`).
pub(crate) fn after(last: Option<&str>) -> &str {
    last.and_then(|last| last.split('\0').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_whether_others_follow() {
        let cut = |count: usize, limit| Page::cut((0..count).collect(), limit);
        assert_eq!(cut(3, 2), Page { items: vec![0, 1], more: true });
        assert_eq!(cut(2, 2), Page { items: vec![0, 1], more: false });
        assert_eq!(cut(1, 0), Page { items: vec![], more: false });
        let most = cut(MAX_PAGE + 1, usize::MAX);
        assert_eq!((most.items.len(), most.more), (MAX_PAGE, true));
    }
}
