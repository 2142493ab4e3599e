use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// An issuer of access tokens as Amazon Cognito issues them, with an RSA key of its own and a file
/// that holds the public key as a JWKS document.
#[derive(Debug)]
pub struct Issuer {
    key: RsaKeyPair,
    file: PathBuf,
}

impl Issuer {
    /// The `iss` claim of every token.
    pub const URL: &str = "https://issuer.example";

    /// An issuer whose key has the id `1` in `file`.
    ///
    /// # Panics
    /// The file cannot be written.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let issuer = Self {
            key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            file: file.into(),
        };
        issuer.publish("1");
        issuer
    }

    /// Replaces the file by one in which the key has this id.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn publish(&self, key_id: &str) {
        fs::write(&self.file, self.jwks(key_id).to_string()).unwrap();
    }

    /// The file of the public key.
    #[must_use]
    pub fn file(&self) -> &PathBuf {
        &self.file
    }

    /// The public key as a JWKS document.
    #[must_use]
    pub fn jwks(&self, key_id: &str) -> Value {
        let key = self.key.public_key();
        let modulus = key.modulus().big_endian_without_leading_zero();
        let exponent = key.exponent().big_endian_without_leading_zero();
        json!({ "keys": [{
            "kid": key_id,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "n": URL_SAFE_NO_PAD.encode(modulus),
            "e": URL_SAFE_NO_PAD.encode(exponent),
        }] })
    }

    /// The arguments by which a server verifies this issuer's tokens.
    ///
    /// # Panics
    /// The file's name is not UTF-8.
    #[must_use]
    pub fn arguments(&self) -> [&str; 4] {
        ["--jwks", self.file.to_str().unwrap(), "--issuer", Self::URL]
    }

    /// A token of a client that may write, in which `claims` replaces claims or, by `null`, removes
    /// them.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "RS256", "kid": "1" }), claims)
    }

    /// Returns a token as [`Issuer::token`] does, with another header.
    ///
    /// # Panics
    /// `claims` is not an object.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let content = unsigned(header, claims);
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                content.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with an empty signature.
    #[must_use]
    pub fn unsigned(claims: &Value) -> String {
        format!(
            "{}.",
            unsigned(&json!({ "alg": "none", "kid": "1" }), claims)
        )
    }

    /// Seconds since the epoch, for the claims that are times.
    ///
    /// # Panics
    /// The clock is before 1970.
    #[must_use]
    pub fn now() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let mut all = json!({
        "token_use": "access",
        "scope": "movies/write",
        "client_id": "client-1",
        "iss": Issuer::URL,
        "exp": Issuer::now() + 3600,
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(&all))
}
