//! Key ids that are of no key: the thumbprints of the curves' base points.
//!
//! `docker_auth` 1.14 (`disable_legacy_key_id`) and distribution 3.0.0 hash the point that all keys of a curve are
//! multiples of, in place of the key's own point. So everybody's keys of that curve have one and the same id.

use crate::{KeyId, components::Components, thumbprint};

/// The curve whose base point an id is the thumbprint of, as `P-256`.
pub fn curve_of_base_point(id: &str) -> Option<&'static str> {
    BASE_POINTS.iter().find(|base| base.ids().any(|known| known.as_str() == id)).map(|it| it.curve)
}

struct BasePoint {
    curve: &'static str,
    x: &'static [u8],
    y: &'static [u8],
}

impl BasePoint {
    /// As RFC 7638 wants it, and as those programs compute it: without zero bytes in front.
    fn ids(&self) -> impl Iterator<Item = KeyId> {
        let (x, y) = (self.x.into(), self.y.into());
        let components = Components::Elliptic { curve: self.curve, x, y };
        [Some(thumbprint::rfc7638(&components)), thumbprint::unpadded(&components)]
            .into_iter()
            .flatten()
    }
}

/// SEC 2, sections 2.4.2, 2.5.1 and 2.6.1.
const BASE_POINTS: [BasePoint; 3] = [
    BasePoint {
        curve: "P-256",
        x: b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\
            \x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96",
        y: b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\
            \x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5",
    },
    BasePoint {
        curve: "P-384",
        x: b"\xaa\x87\xca\x22\xbe\x8b\x05\x37\x8e\xb1\xc7\x1e\xf3\x20\xad\x74\x6e\x1d\x3b\x62\x8b\xa7\
            \x9b\x98\x59\xf7\x41\xe0\x82\x54\x2a\x38\x55\x02\xf2\x5d\xbf\x55\x29\x6c\x3a\x54\x5e\x38\
            \x72\x76\x0a\xb7",
        y: b"\x36\x17\xde\x4a\x96\x26\x2c\x6f\x5d\x9e\x98\xbf\x92\x92\xdc\x29\xf8\xf4\x1d\xbd\x28\x9a\
            \x14\x7c\xe9\xda\x31\x13\xb5\xf0\xb8\xc0\x0a\x60\xb1\xce\x1d\x7e\x81\x9d\x7a\x43\x1d\x7c\
            \x90\xea\x0e\x5f",
    },
    BasePoint {
        curve: "P-521",
        x: b"\x00\xc6\x85\x8e\x06\xb7\x04\x04\xe9\xcd\x9e\x3e\xcb\x66\x23\x95\xb4\x42\x9c\x64\x81\x39\
            \x05\x3f\xb5\x21\xf8\x28\xaf\x60\x6b\x4d\x3d\xba\xa1\x4b\x5e\x77\xef\xe7\x59\x28\xfe\x1d\
            \xc1\x27\xa2\xff\xa8\xde\x33\x48\xb3\xc1\x85\x6a\x42\x9b\xf9\x7e\x7e\x31\xc2\xe5\xbd\x66",
        y: b"\x01\x18\x39\x29\x6a\x78\x9a\x3b\xc0\x04\x5c\x8a\x5f\xb4\x2c\x7d\x1b\xd9\x98\xf5\x44\x49\
            \x57\x9b\x44\x68\x17\xaf\xbd\x17\x27\x3e\x66\x2c\x97\xee\x72\x99\x5e\xf4\x26\x40\xc5\x50\
            \xb9\x01\x3f\xad\x07\x61\x35\x3c\x70\x86\xa2\x72\xc2\x40\x88\xbe\x94\x76\x9f\xd1\x66\x50",
    },
];

#[cfg(test)]
mod tests {
    use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};

    use super::*;

    /// The key whose private half is 1 is the base point itself.
    fn key_of_one(curve: &'static Algorithm, length: usize) -> Vec<u8> {
        let mut one = vec![0; length];
        one[length - 1] = 1;
        let key = PrivateKey::from_private_key(curve, &one).unwrap();
        key.compute_public_key().unwrap().as_ref().to_vec()
    }

    #[test]
    fn the_points_are_those_of_the_curves() {
        for (base, (curve, length)) in
            BASE_POINTS.iter().zip([(&ECDH_P256, 32), (&ECDH_P384, 48), (&ECDH_P521, 66)])
        {
            let point = [&[4], base.x, base.y].concat();
            assert_eq!(key_of_one(curve, length), point, "{}", base.curve);
        }
    }

    /// The first was seen in tokens of `docker_auth` 1.14.0.
    #[test]
    fn their_ids_are_recognised_and_no_others() {
        let known = [
            ("xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M", "P-256"),
            ("-W6Wzot_wuerYbKBVKfGEks3iY2EALna-hBqObnPuJE", "P-384"),
            ("67t2ktf21o_Z2-ygUyR0zriEF9PMHtlT1l4q9rGSYOM", "P-521"),
            ("OeKGf9VndDjYwHKRd0dpgdELFndZEEkXwdriDA_fITE", "P-521"),
        ];
        for (id, curve) in known {
            assert_eq!(curve_of_base_point(id), Some(curve), "{id}");
        }
        for id in ["8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8", "key-1", ""] {
            assert_eq!(curve_of_base_point(id), None, "{id}");
        }
    }
}
