/* tls_error.c - TLS failures in words: tls_error_text of tls.h. */
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/crypto/tls.h"

/* An alert that came from the other side is reported as 1000 + its number (RFC 8446 6). */
enum { ALERT_BASE = SSL_AD_REASON_OFFSET, ALERT_LAST = SSL_AD_REASON_OFFSET + 255 };

/* Our own check of the other side's certificate failed. */
static void verify_text(SSL *ssl, const char *peer, char *buf, size_t n)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *name;
    long why = SSL_get_verify_result(ssl);

    switch (why) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        snprintf(buf, n, "the %s's certificate, or the CA that signed it, expired", peer);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(buf, n, "the %s's certificate is not valid yet; is the clock right?", peer);
        return;
    /* Two CAs of the same name differ only by key, so a wrong one can also show as a signature
     * that does not fit. */
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_AKID_SKID_MISMATCH:
        snprintf(buf, n, "the %s's certificate is signed by another CA than the CA file holds",
                 peer);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(buf, n,
                 "the %s's certificate is self-signed, or bears its CA's name without naming the "
                 "CA's key (authority key identifier)",
                 peer);
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        name = X509_VERIFY_PARAM_get0_host(param, 0);
        snprintf(buf, n, "the %s's certificate is not for the name %s", peer,
                 name ? name : "expected");
        return;
    case X509_V_ERR_INVALID_PURPOSE:
        snprintf(buf, n, "the %s's certificate is made for another purpose (extended key usage)",
                 peer);
        return;
    case X509_V_ERR_CERT_REVOKED:
        snprintf(buf, n, "the %s's certificate is revoked", peer);
        return;
    default:
        snprintf(buf, n, "the %s's certificate is not accepted: %s", peer,
                 X509_verify_cert_error_string(why));
    }
}

/* The other side ended the handshake with an alert. */
static void alert_text(int alert, const char *peer, char *buf, size_t n)
{
    const char *what;

    switch (alert) {
    case SSL_AD_UNKNOWN_CA:
        what = "does not accept our certificate: it knows another CA";
        break;
    case SSL_AD_CERTIFICATE_EXPIRED:
        what = "does not accept our certificate: expired";
        break;
    case SSL_AD_CERTIFICATE_REVOKED:
        what = "does not accept our certificate: revoked";
        break;
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
        what = "does not accept our certificate: its CA, name or dates do not fit";
        break;
    case SSL_AD_CERTIFICATE_REQUIRED:
        what = "wants a client certificate, and none was sent";
        break;
    case SSL_AD_PROTOCOL_VERSION:
        what = "speaks no TLS version in common with us (1.2 and 1.3)";
        break;
    case SSL_AD_HANDSHAKE_FAILURE:
        what = "refuses the handshake: no cipher in common, or a certificate is missing";
        break;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
        what = "knows none of the protocols offered by ALPN";
        break;
    default:
        snprintf(buf, n, "the %s ended TLS with the alert \"%s\"", peer,
                 SSL_alert_desc_string_long(alert));
        return;
    }
    snprintf(buf, n, "the %s %s", peer, what);
}

static void reason_text(SSL *ssl, unsigned long e, char *buf, size_t n)
{
    const char *peer = SSL_is_server(ssl) ? "client" : "server";
    int reason = ERR_GET_REASON(e);
    const char *text;

    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        verify_text(ssl, peer, buf, n);
        return;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        snprintf(buf, n, "client certificate missing");
        return;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_UNKNOWN_PROTOCOL:
        snprintf(buf, n, "plain bytes instead of TLS from the %s", peer);
        return;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        snprintf(buf, n, "the %s speaks only TLS versions older than 1.2", peer);
        return;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_GROUPS:
        snprintf(buf, n, "no cipher or signature in common with the %s", peer);
        return;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        snprintf(buf, n, "the client offers by ALPN other protocols than http/1.1");
        return;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        snprintf(buf, n, "the %s closed the connection without ending TLS", peer);
        return;
    case SSL_R_NO_RENEGOTIATION:
        snprintf(buf, n, "the %s wanted to renegotiate", peer);
        return;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        snprintf(buf, n, "bytes were changed on the way from the %s", peer);
        return;
    default:
        break;
    }
    if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason >= ALERT_BASE && reason <= ALERT_LAST) {
        alert_text(reason - ALERT_BASE, peer, buf, n);
        return;
    }
    text = ERR_reason_error_string(e);
    snprintf(buf, n, "TLS failed: %s", text ? text : "an error without a name");
}

void tls_error_text(SSL *ssl, int ret, char *buf, size_t n)
{
    int saved = errno;
    int kind = SSL_get_error(ssl, ret);
    unsigned long e = 0, at;

    if (n == 0)
        return;
    /* The oldest entry of the TLS library tells the cause; what the layers below left before or
     * after it is detail. */
    while ((at = ERR_get_error()) != 0)
        if (e == 0 || (ERR_GET_LIB(e) != ERR_LIB_SSL && ERR_GET_LIB(at) == ERR_LIB_SSL))
            e = at;
    if (e != 0)
        reason_text(ssl, e, buf, n);
    else if (kind == SSL_ERROR_ZERO_RETURN)
        snprintf(buf, n, "the other side ended TLS");
    else if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        snprintf(buf, n, "the handshake is not finished");
    else if (kind == SSL_ERROR_SYSCALL && saved != 0)
        snprintf(buf, n, "the connection failed: %s", strerror(saved));
    else
        snprintf(buf, n, "the connection ended without ending TLS");
}
