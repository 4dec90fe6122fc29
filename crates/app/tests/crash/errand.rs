//! What a pusher sets out to do next.

use portpass_testkit::SeededRng;

use crate::goods::{Content, Goods, Manifest, REPOSITORIES, TAGS};

/// One thing that a client wants done; it may take many requests.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    /// A blob in one body.
    Whole {
        repository: &'static str,
        content: Content,
    },
    /// A blob in patches, cut at these places.
    Patches {
        repository: &'static str,
        content: Content,
        cuts: Vec<usize>,
    },
    /// A blob that another repository has, or has not.
    Mount {
        from: &'static str,
        to: &'static str,
        content: Content,
    },
    /// Blobs, children, manifest and tag.
    Push {
        repository: &'static str,
        manifest: Manifest,
        named: Named,
    },
    /// An upload that is given up.
    Cancel {
        repository: &'static str,
        content: Content,
    },
    /// An upload that is forgotten.
    Abandon {
        repository: &'static str,
        content: Content,
    },
    DeleteTag {
        repository: &'static str,
        tag: &'static str,
    },
    DeleteManifest {
        repository: &'static str,
        manifest: Manifest,
    },
    DeleteBlob {
        repository: &'static str,
        content: Content,
    },
    /// Something that this pusher has pushed.
    Pull {
        repository: &'static str,
        content: Content,
    },
    LogIn,
    Refresh,
    LogOut,
}

/// How a manifest is pushed.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    /// `PUT …/manifests/TAG`
    Tag(&'static str),
    /// `PUT …/manifests/DIGEST?tag=…`, with any number of tags.
    Digest(Vec<&'static str>),
}

impl Named {
    pub(crate) fn tags(&self) -> &[&'static str] {
        match self {
            Self::Tag(tag) => std::slice::from_ref(tag),
            Self::Digest(tags) => tags,
        }
    }

    fn draw(rng: &mut SeededRng) -> Self {
        match rng.below(4) {
            0 => Self::Digest(Vec::new()),
            1 => Self::Digest(vec![TAGS[rng.below(4)], TAGS[4 + rng.below(4)]]),
            _ => Self::Tag(rng.choose(&TAGS)),
        }
    }
}

/// What a pusher has pushed and nobody deletes.
pub(crate) type Held = [(&'static str, Content)];

impl Errand {
    pub(crate) fn draw(rng: &mut SeededRng, goods: &Goods, held: &Held) -> Self {
        let repository = rng.choose(&REPOSITORIES);
        match rng.below(100) {
            0..8 => Self::Whole { repository, content: own_or(rng, &goods.layers) },
            8..14 => Self::Whole { repository, content: rng.choose(&goods.loose) },
            14..28 => Self::patches(rng, repository, &goods.layers),
            28..36 => Self::mount(rng, repository, goods, held),
            36..48 => {
                let image = own_image(rng, goods);
                Self::push(rng, repository, image)
            }
            48..58 => {
                let image = rng.choose(&goods.images);
                Self::push(rng, repository, image)
            }
            58..63 => {
                let index = rng.choose(&goods.indexes);
                Self::push(rng, repository, index)
            }
            63..66 => Self::Cancel { repository, content: Content::draw(rng, 1..40_000) },
            66..69 => Self::Abandon { repository, content: Content::draw(rng, 1..40_000) },
            69..75 => Self::DeleteTag { repository, tag: rng.choose(&TAGS) },
            75..79 => Self::DeleteManifest { repository, manifest: rng.choose(&goods.images) },
            79..84 => Self::DeleteBlob { repository, content: rng.choose(&goods.loose) },
            84..90 if !held.is_empty() => {
                let (repository, content) = rng.choose(held);
                Self::Pull { repository, content }
            }
            84..91 => Self::LogIn,
            91..94 => Self::Refresh,
            _ => Self::LogOut,
        }
    }

    fn patches(rng: &mut SeededRng, repository: &'static str, layers: &[Content]) -> Self {
        let content = own_or(rng, layers);
        let length = content.bytes.len();
        let number = if length > 2 { rng.below(4) } else { 0 };
        // A first piece of one byte could not be told from none (OC13).
        let mut cuts: Vec<usize> = (0..number).map(|_| rng.between(2, length)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Self::Patches { repository, content, cuts }
    }

    fn mount(rng: &mut SeededRng, to: &'static str, goods: &Goods, held: &Held) -> Self {
        if held.is_empty() || rng.below(3) == 0 {
            let from = rng.choose(&REPOSITORIES);
            return Self::Mount { from, to, content: rng.choose(&goods.loose) };
        }
        let (from, content) = rng.choose(held);
        Self::Mount { from, to, content }
    }

    fn push(rng: &mut SeededRng, repository: &'static str, manifest: Manifest) -> Self {
        Self::Push { repository, manifest, named: Named::draw(rng) }
    }
}

/// Something that nobody else has, or that everybody has.
fn own_or(rng: &mut SeededRng, goods: &[Content]) -> Content {
    match rng.below(12) {
        0..6 => rng.choose(goods),
        6..11 => Content::draw(rng, 1..50_000),
        _ => Content::draw(rng, 300_000..900_000),
    }
}

fn own_image(rng: &mut SeededRng, goods: &Goods) -> Manifest {
    let layers = [own_or(rng, &goods.layers), rng.choose(&goods.layers)];
    let subject = match rng.below(3) {
        0 => Some(rng.choose(&goods.images)),
        _ => None,
    };
    Manifest::image(rng, &layers, subject.as_ref())
}
