use super::*;
use crate::{Certificate, IdForm};

/// RFC 7515 A.2.1
const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ","p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc","q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc","dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0","dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU","qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;
/// RFC 8037 A.1
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 7515 A.3.1
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fn signature(jwk: &str, message: &str) -> String {
    let key = SigningKey::from_jwk(jwk, None).unwrap();
    base64url::encode(key.sign(message.as_bytes()).unwrap().as_ref())
}

/// RFC 7515 A.2.1
#[test]
fn rs256_makes_the_signature_of_the_example() {
    assert_eq!(
        signature(
            RSA,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        ),
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
}

/// RFC 8037 A.4
#[test]
fn eddsa_makes_the_signature_of_the_example() {
    assert_eq!(
        signature(ED25519, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

/// RFC 7518 §3.4
#[test]
fn ecdsa_signatures_have_the_length_of_their_curve() {
    for (algorithm, length) in
        [(Algorithm::Es256, 64), (Algorithm::Es384, 96), (Algorithm::Es512, 132)]
    {
        let key = SigningKey::generate(algorithm).unwrap();
        for _ in 0..8 {
            assert_eq!(key.sign(b"message").unwrap().as_ref().len(), length);
        }
    }
}

#[test]
fn a_key_reads_back_from_its_pkcs8() {
    for algorithm in Algorithm::ALL.into_iter().filter(|one| one.key_type() != KeyType::Octets) {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_der(&key.to_pkcs8().unwrap(), Some(algorithm)).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!((again.id(), again.algorithm()), (key.id(), algorithm));
    }
}

/// What `openssl genpkey`, `openssl ecparam -genkey` (parameters first) and `openssl genrsa
/// -traditional` write.
#[test]
fn the_pem_that_openssl_writes_is_read() {
    let table = [
        (include_str!("../../fixtures/p256-pkcs8.pem"), Algorithm::Es256),
        (include_str!("../../fixtures/p384-sec1.pem"), Algorithm::Es384),
        (include_str!("../../fixtures/p521-sec1.pem"), Algorithm::Es512),
        (include_str!("../../fixtures/ed25519-pkcs8.pem"), Algorithm::EdDsa),
        (include_str!("../../fixtures/rsa-pkcs1.pem"), Algorithm::Rs256),
        (include_str!("../../fixtures/rsa-pkcs8.pem"), Algorithm::Rs256),
    ];
    for (pem, algorithm) in table {
        let key = SigningKey::from_pem(pem, None).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().verify(algorithm, b"message", signature.as_ref()).is_ok());
    }
}

#[test]
fn what_is_no_signing_key_says_why() {
    let refusal =
        |pem: &str, algorithm| SigningKey::from_pem(pem, algorithm).unwrap_err().to_string();
    let rsa = include_str!("../../fixtures/rsa-pkcs1.pem");
    assert_eq!(
        refusal(rsa, Some(Algorithm::Es256)),
        "ES256 does not work with an RSA key; choose from PS256, PS384, PS512, RS256, RS384, RS512"
    );
    assert!(refusal("", None).starts_with("there is no private key; expected a PEM block"));
    let certificate = include_str!("../../fixtures/v1-root.pem");
    assert!(refusal(certificate, None).starts_with("there is no private key"));
    for encrypted in ["ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"] {
        assert!(refusal(&format!("-----BEGIN {encrypted}-----\n"), None).contains("is encrypted"));
    }
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(refusal(broken, None).starts_with("the private key is not readable"));
    let weak = include_str!("../../fixtures/rsa1024-pkcs8.pem");
    assert!(refusal(weak, None).contains("RSA of 2048 to 8192 bits"));
    assert!(SigningKey::generate(Algorithm::Hs256).is_err());
}

#[test]
fn a_private_jwk_must_fit_together() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let other = crate::jwk::to_object(other.public(), other.id()).unwrap();
    let mixed =
        P256.replace("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", other["x"].as_str().unwrap());
    let mixed =
        mixed.replace("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", other["y"].as_str().unwrap());
    assert!(SigningKey::from_jwk(&mixed, None).is_err());
    assert!(SigningKey::from_jwk(P256, None).is_ok());
    assert!(SigningKey::from_jwk(r#"{"kty":"oct","k":"AAAA"}"#, None).is_err());
    let stated = RSA.replace("\"kty\"", "\"alg\":\"PS256\",\"kty\"");
    let key = SigningKey::from_jwk(&stated, None).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ps256);
}

#[test]
fn nothing_secret_is_shown() {
    let key = SigningKey::from_jwk(ED25519, None).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"), "{shown}");
    assert!(!shown.contains("nWGxne") && !shown.contains("9d61b19d"), "{shown}");
}

#[test]
fn a_token_names_its_key_as_it_is_told() {
    let key = SigningKey::from_jwk(P256, None).unwrap();
    let header = |form| -> String {
        let token = key.sign_compact(form, b"{}").unwrap();
        let header = base64url::decode(token.split('.').next().unwrap()).unwrap();
        String::from_utf8(header).unwrap()
    };
    assert_eq!(
        header(KeyIdForm::Rfc7638),
        r#"{"alg":"ES256","typ":"JWT","kid":"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"}"#
    );
    let libtrust = KeyId::libtrust(key.public());
    assert_eq!(libtrust.form(), IdForm::Libtrust);
    assert_eq!(
        header(KeyIdForm::Libtrust),
        format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{libtrust}"}}"#)
    );
    assert_eq!(key.sign_compact(KeyIdForm::X5c, b"{}"), Err(SignError::NoChain));
}

#[test]
fn a_chain_must_be_for_the_key() {
    let pem = include_str!("../../fixtures/v1-leaf.pem");
    let chain = CertificateChain::from_pem(pem).unwrap();
    let key = SigningKey::from_jwk(P256, None).unwrap();
    let refusal = key.with_chain(chain).unwrap_err();
    assert!(refusal.to_string().contains("not the signing key oKIywvGUpTVTyxMQ3bwIIeQUudfr"));

    let right = SigningKey::from_pem(include_str!("../../fixtures/p256-pkcs8.pem"), None).unwrap();
    let chain = CertificateChain::from_pem(pem).unwrap();
    let der = Certificate::der(chain.leaf()).to_vec();
    let right = right.with_chain(chain).unwrap();
    let token = right.sign_compact(KeyIdForm::X5c, b"{}").unwrap();
    let unverified = crate::unverified::Unverified::parse(&token).unwrap();
    assert_eq!(unverified.header()["x5c"][0], STANDARD.encode(der));
    assert_eq!(unverified.header()["kid"], right.id().as_str());
}
