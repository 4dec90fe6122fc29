use std::io::Write as _;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

/// A member as somebody evil may write it: the name as it is, no matter what it says.
struct Evil<'a> {
    name: &'a [u8],
    kind: EntryType,
    link: &'a [u8],
    content: &'a [u8],
}

fn file<'a>(name: &'a str, content: &'a [u8]) -> Evil<'a> {
    Evil { name: name.as_bytes(), kind: EntryType::Regular, link: b"", content }
}

fn link<'a>(name: &'a str, to: &'a str) -> Evil<'a> {
    Evil { name: name.as_bytes(), kind: EntryType::Symlink, link: to.as_bytes(), content: b"" }
}

fn kind(kind: EntryType) -> Evil<'static> {
    Evil { name: b"x", kind, link: b"y", content: b"" }
}

fn archive(members: &[Evil<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..member.name.len()].copy_from_slice(member.name);
        header.as_old_mut().linkname[..member.link.len()].copy_from_slice(member.link);
        header.set_entry_type(member.kind);
        header.set_size(member.content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(member.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

fn scanned(bytes: &[u8]) -> Result<Members, LayoutError> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Members::scan(file.path())
}

fn fault(bytes: &[u8]) -> MemberFault {
    match scanned(bytes) {
        Err(LayoutError::Member { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_are_found_where_they_lie() {
    let long = "d/".repeat(80) + "layer.tar";
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in [("manifest.json", "[]"), ("./a/layer.tar", "layer"), (&long, "deep")] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let members = scanned(&builder.into_inner().unwrap()).unwrap();
    for (name, content) in [("manifest.json", "[]"), ("a/layer.tar", "layer"), (&long, "deep")] {
        let found = members.document(name).unwrap().unwrap();
        assert_eq!(found, content.as_bytes(), "{name}");
    }
    assert_eq!(members.document("b/layer.tar").unwrap(), None);
}

/// docker before 25 and skopeo point from old names to new ones.
#[test]
fn links_within_the_archive_are_looked_up_there() {
    let bytes = archive(&[link("old/layer.tar", "../new.tar"), file("new.tar", b"layer")]);
    let members = scanned(&bytes).unwrap();
    assert_eq!(members.document("old/layer.tar").unwrap().unwrap(), &b"layer"[..]);
}

#[test]
fn members_that_no_honest_archive_has_are_refused_by_name() {
    for (name, members, expected) in [
        ("absolute", vec![file("/etc/passwd", b"")], MemberFault::Traversal),
        ("up", vec![file("a/../../b", b"")], MemberFault::Traversal),
        ("dots alone", vec![file("..", b"")], MemberFault::Traversal),
        ("backslash", vec![file("..\\b", b"")], MemberFault::Traversal),
        ("empty part", vec![file("a//b", b"")], MemberFault::Traversal),
        ("twice", vec![file("a", b"1"), file("a", b"2")], MemberFault::Duplicate),
        ("twice, spelt apart", vec![file("a", b"1"), file("./a", b"2")], MemberFault::Duplicate),
        ("link over file", vec![file("a", b"1"), link("a", "b")], MemberFault::Duplicate),
        ("link out", vec![link("a", "../b"), file("b", b"")], MemberFault::Link),
        ("absolute link", vec![link("a", "/etc/passwd")], MemberFault::Link),
        ("link to nothing", vec![link("a", "b")], MemberFault::Link),
        ("link to itself", vec![link("a", "a")], MemberFault::Link),
        ("link to a link", vec![link("a", "b"), link("b", "c"), file("c", b"")], MemberFault::Link),
        ("hard link", vec![kind(EntryType::Link)], MemberFault::Kind),
        ("device", vec![kind(EntryType::Block)], MemberFault::Kind),
        ("pipe", vec![kind(EntryType::Fifo)], MemberFault::Kind),
        ("sparse", vec![kind(EntryType::GNUSparse)], MemberFault::Kind),
    ] {
        assert_eq!(fault(&archive(&members)), expected, "{name}");
    }
    let said = scanned(&archive(&[file("a/../../b", b"")])).unwrap_err().to_string();
    assert!(said.contains(r#"member "a/../../b""#) && said.contains("leads out"), "{said}");
}

/// Two readers that take different sizes see different members (PAX `size`).
#[test]
fn sizes_of_pax_records_are_those_that_count() {
    let pax =
        |records: &'static [u8], kind| Evil { name: b"pax", kind, link: b"", content: records };
    let inner = archive(&[file("hidden", b"inner")]);
    let honest = [pax(b"13 size=2048\n", EntryType::XHeader), file("outer", &inner)];
    let members = scanned(&archive(&honest)).unwrap();
    assert_eq!(members.extent("outer").unwrap().length, 2048);
    assert!(members.extent("hidden").is_none());
    let global = [pax(b"10 size=0\n", EntryType::XGlobalHeader), file("outer", b"x")];
    assert_eq!(fault(&archive(&global)), MemberFault::Header);
    let broken = [pax(b"10 size=x\n", EntryType::XHeader), file("outer", b"x")];
    assert_eq!(fault(&archive(&broken)), MemberFault::Header);
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    assert_eq!(fault(header.as_bytes()), MemberFault::Long);
    header.set_entry_type(EntryType::Regular);
    header.as_old_mut().name[0] = b'x';
    header.set_cksum();
    assert_eq!(fault(header.as_bytes()), MemberFault::Truncated);
    let huge = vec![b' '; usize::try_from(MAX_DOCUMENT).unwrap() + 1];
    let members = scanned(&archive(&[file("manifest.json", &huge)])).unwrap();
    let error = members.document("manifest.json").unwrap_err();
    assert!(matches!(error, LayoutError::Member { fault: MemberFault::Long, .. }), "{error}");
}

#[test]
fn what_is_no_archive_is_told_why() {
    let said = |bytes: &[u8]| match scanned(bytes) {
        Err(LayoutError::NotAnArchive { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    insta::assert_snapshot!(said(b""), @"it does not begin like a tar archive");
    insta::assert_snapshot!(said(&[b'x'; 4096]), @"it does not begin like a tar archive");
    let gzip = [&[0x1f, 0x8b][..], &[7; 1000]].concat();
    insta::assert_snapshot!(said(&gzip), @"it is compressed; unpack it with `gunzip` first");
    let mut torn = archive(&[file("a", b"1"), file("b", b"2")]);
    torn[1024] ^= 1;
    insta::assert_snapshot!(said(&torn), @"there is no member header at byte 1024");
}

proptest! {
    /// Whatever stands there, no member leads out, and no extent reaches beyond the file.
    #[test]
    fn no_archive_leads_out(
        names in proptest::collection::vec("[a./\\\\]{1,12}", 1..6),
        links in proptest::collection::vec(("[a./]{1,8}", "[a./]{1,8}"), 0..3),
    ) {
        let members: Vec<Evil<'_>> = names
            .iter()
            .map(|name| file(name, b"content"))
            .chain(links.iter().map(|(name, to)| link(name, to)))
            .collect();
        let bytes = archive(&members);
        if let Ok(members) = scanned(&bytes) {
            for name in members.by_name.keys() {
                prop_assert!(!name.starts_with('/') && !name.contains('\\'), "{name}");
                prop_assert!(name.split('/').all(|word| !matches!(word, "" | "." | "..")), "{name}");
                let extent = members.extent(name).expect("it leads to a file");
                prop_assert!(extent.start + extent.length <= bytes.len() as u64);
            }
        }
    }

    #[test]
    fn noise_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), sum: bool) {
        if sum && bytes.len() >= 512 {
            // Past the checksum, into the fields.
            let mut block: [u8; 512] = bytes[..512].try_into().unwrap();
            block[148..156].fill(b' ');
            let total: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{total:06o}\0 ").as_bytes());
            bytes[..512].copy_from_slice(&block);
        }
        let _ = scanned(&bytes);
    }
}
