//! Files of authorities, good and bad.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use insta::assert_snapshot;

use super::super::Bundle;

struct Certificate {
    pem: String,
    der: Vec<u8>,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Certificate { pem: made.cert.pem().replace("\r\n", "\n"), der: made.cert.der().to_vec() }
}

fn block(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// How many certificates there are, and what is said of the rest.
fn read(bytes: &[u8]) -> (usize, String) {
    let bundle = Bundle::read(bytes);
    (bundle.certificates.len(), bundle.faults.join("\n"))
}

#[test]
fn what_go_reads_is_read() {
    let Certificate { pem, der } = certificate();
    let crlf = pem.replace('\n', "\r\n");
    let bag = format!("Bag Attributes\n    friendlyName: café\nsubject=CN = localhost\n{pem}");
    let latin = [b"# caf\xe9\n".as_slice(), pem.as_bytes()].concat();
    let blanks = pem.replace('\n', " \t\n");
    let key = block("PRIVATE KEY", "AAAA") + &block("EC PARAMETERS", "BggqhkjOPQMBBw==") + &pem;
    for text in [
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        crlf.as_bytes(),
        bag.as_bytes(),
        &latin,
        blanks.as_bytes(),
        key.as_bytes(),
    ] {
        let bundle = Bundle::read(text);
        assert_eq!(bundle.faults, Vec::<String>::new());
        assert_eq!(bundle.certificates.len(), 1);
        assert_eq!(bundle.certificates[0].as_ref(), der);
    }
    assert_eq!(read((pem.clone() + "\n" + &pem).as_bytes()), (2, String::new()));
}

/// Go passes over such a block and reads the next.
#[test]
fn a_block_of_no_use_is_named_by_its_number_and_the_others_count() {
    let Certificate { pem, der } = certificate();
    let whole = STANDARD.encode(&der);
    let header = block("CERTIFICATE", &format!("Proc-Type: 4,ENCRYPTED\n\n{whole}"));
    let trailing = [der.as_slice(), b"more"].concat();
    let open = pem.replace("-----END CERTIFICATE-----\n", "");
    let bad = [
        block("CERTIFICATE", "%%%%"),
        block("CERTIFICATE", "QUJD"),
        block("CERTIFICATE", ""),
        block("CERTIFICATE", &STANDARD.encode(trailing)),
        block("CERTIFICATE", &STANDARD.encode(&der[..der.len() - 9])),
        block("PKCS7", &whole),
        block("CMS", &whole),
        block("TRUSTED CERTIFICATE", &whole),
        block("X509 CERTIFICATE", &whole),
        block("CERTIFICATE REQUEST", &whole),
        header,
        open,
        pem.replace("END CERTIFICATE", "END PUBLIC KEY"),
        format!("  {}\n", pem.trim_end().replace('\n', "\n  ")),
    ];
    let mut told = Vec::new();
    for bad in bad {
        let (before, said) = read((pem.clone() + &bad + &pem).as_bytes());
        assert_eq!(before, 2, "{bad}");
        assert!(said.starts_with("block 2 is ignored: "), "{said}");
        told.push(said);
    }
    assert_snapshot!(told.join("\n"));
    let (count, said) = read(format!("\u{feff}{pem}{pem}").as_bytes());
    assert_eq!(count, 1);
    assert_eq!(
        said,
        "block 1 is ignored: a byte order mark comes before it; save the file without one"
    );
}

#[test]
fn a_file_that_holds_no_block_is_called_what_it_is() {
    let Certificate { pem, der } = certificate();
    // The outer sequence and the type of PKCS#7, `signedData`.
    let pkcs7 = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80";
    let utf16: Vec<u8> =
        format!("\u{feff}{pem}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let returns = pem.replace('\n', "\r");
    let key = block("PRIVATE KEY", "AAAA");
    let files: [&[u8]; 7] =
        [b"", &der, pkcs7, &utf16, returns.as_bytes(), b"nothing of the kind", key.as_bytes()];
    let told = files.map(|bytes| {
        let (count, said) = read(bytes);
        assert_eq!(count, 0, "{said}");
        said
    });
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_block_without_line_breaks_is_no_label_that_could_be_shown() {
    let one_line = block("PRIVATE KEY", "QUJDREVG").replace('\n', "");
    for text in [
        one_line.clone(),
        one_line.replace("END PRIVATE KEY-----", ""),
        format!("-----BEGIN CERTIFICATE-----\nAAAA\n{}", one_line.replace("BEGIN", "END")),
    ] {
        let (count, said) = read(text.as_bytes());
        assert_eq!(count, 0, "{said}");
        assert!(!said.contains("QUJDREVG"), "{said}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_file_holds_it_has_certificates_or_a_fault(bytes: Vec<u8>) {
        let bundle = Bundle::read(&bytes);
        proptest::prop_assert!(!bundle.faults.is_empty() || !bundle.certificates.is_empty());
    }

    #[test]
    fn lines_in_any_order_never_hide_the_block_after_them(
        lines in proptest::collection::vec(proptest::sample::select(vec![
            "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----BEGIN", "QUJD", "",
            "-----END PKCS7-----", "-----BEGIN PKCS7-----", "a: b", "-----BEGIN  -----",
        ]), 0..8)
    ) {
        let Certificate { pem, .. } = certificate();
        let text = format!("{}\n{pem}", lines.join("\n"));
        proptest::prop_assert_eq!(read(text.as_bytes()).0, 1);
    }
}
