// The production trust anchor: Intel's "SGX Root CA", as published at
// https://certificates.trustedservices.intel.com/IntelSGXRootCA.der. SHA-256 of its DER:
// 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3 (a test recomputes it).

import { fromBase64Url } from '../core/bytes.ts';

const DER_BASE64URL = [
  'MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3Qg',
  'Q0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYT',
  'AlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoM',
  'EUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZI',
  'zj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj_iPWsCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxF',
  'P2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2Nl',
  'cnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInz',
  'g7SVUr9QGzknBqwwDgYDVR0PAQH_BAQDAgEGMBIGA1UdEwEB_wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW_5QkR-S9C',
  'iSDcNoowLuPRLsWGf_Yi7GSX94BgwTwgAiEA4J0lrHoMs-Xo5o_sX6O9QWxHRAvZUGOdRQ7cvqRXaqI',
].join('');

/** DER, fresh bytes at each call. */
export const intelRoot = (): Uint8Array => fromBase64Url(DER_BASE64URL);
