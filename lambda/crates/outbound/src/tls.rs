//! TLS 1.3 by rustls on ring, and the root certificates that are trusted.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Trusts Mozilla's root certificates, which are compiled in, or those in these PEM files and
/// folders instead. Parsing the 200 KB of a system's bundle takes more instructions than a third of
/// a cold start.
pub(crate) fn client_config(ca_paths: &[PathBuf]) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if ca_paths.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for path in ca_paths {
        let certificates = certificates(path).map_err(|error| {
            io::Error::other(format!("root certificates of {}: {error}", path.display()))
        })?;
        roots.add_parsable_certificates(certificates);
    }
    if roots.is_empty() {
        let paths: Vec<_> = ca_paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(io::Error::other(format!(
            "{} holds no root certificate; set SSL_CERT_FILE to a PEM file, or unset it",
            paths.join(", ")
        )));
    }
    let versions = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions();
    Ok(versions
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Reads a PEM file, or every file of a folder: OpenSSL's folders have one certificate per file.
fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    if !path.is_dir() {
        return from_pem(path);
    }
    let mut certificates = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        // Links to certificates that were removed are common in such folders.
        if file.is_file() {
            certificates.extend(from_pem(&file)?);
        }
    }
    Ok(certificates)
}

fn from_pem(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(file)?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn read(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), pem).unwrap();
        certificates(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_are_read_with_comments_in_any_encoding_between_them() {
        let pem =
            b"# Caf\xe9 Root\n-----BEGIN CERTIFICATE-----\nAQID\nBAU=\n-----END CERTIFICATE-----\n\
            -----BEGIN TRUSTED CERTIFICATE-----\nBwc=\n-----END TRUSTED CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\r\nBgcI\r\n-----END CERTIFICATE-----\r\n";
        let expected = [vec![1, 2, 3, 4, 5], vec![6, 7, 8]].map(CertificateDer::from);
        assert_eq!(read(pem).unwrap(), expected);
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn certificate_that_is_cut_off_or_not_base64_is_an_error() {
        for pem in [
            "-----BEGIN CERTIFICATE-----\nCQ==\n",
            "-----BEGIN CERTIFICATE-----\nno*base64\n-----END CERTIFICATE-----\n",
        ] {
            assert!(read(pem.as_bytes()).is_err(), "{pem}");
        }
    }

    #[test]
    fn compiled_in_roots_are_trusted_unless_files_are_given() {
        assert!(client_config(&[]).is_ok());
        let empty = tempfile::NamedTempFile::new().unwrap();
        let error = client_config(&[empty.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("no root certificate"), "{error}");
        let error = client_config(&["/nowhere.pem".into()]).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere.pem: No such file"),
            "{error}"
        );
    }
}
