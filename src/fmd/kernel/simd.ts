// Whether this engine runs the kernel at all.

/** The smallest module that needs 128-bit SIMD: () -> v128, i8x16.splat(0). */
const PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b],
);

/** Whether WebAssembly with 128-bit SIMD is there. Where it is not, detection falls back to the @noble reference. */
export function simdSupported(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(PROBE);
}
