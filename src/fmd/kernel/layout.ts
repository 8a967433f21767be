// The kernel's memory map and sizes, read by the AssemblyScript module and by its TypeScript wrapper alike, so it holds
// integer constants only. Every address is fixed: the module has no heap, no stack in memory and no statics.
// Below TABLE: constants, then what depends on keys or flag; TABLE: the flag's table; TILE: the keys.

/** Bytes of four field elements side by side: 20 limbs of 13 bits, as i16 (assembly/field.ts). */
export const FIELD_BYTES = 160;
/** Bytes of four points side by side: y - x, y + x, z, t (assembly/point.ts). */
export const POINT_BYTES = 640;
/** Bytes of four table entries side by side: (y + x)/2, (y - x)/2, dxy. */
export const ENTRY_BYTES = 480;
/** Scalars in a block of a tile: a byte lane each, so that one swizzle looks up all of them. */
export const BLOCK_SCALARS = 16;
/** Bytes of a block: plane b holds byte b of each of its scalars. */
export const BLOCK_BYTES = 512;
/** Quads (four points side by side) whose encodings share one field inversion: 512 points make it 1 % of the work. */
export const BATCH_QUADS = 128;
/** Blocks that take a window of the table in turn while it is in the first-level cache. */
export const SWEEP_BLOCKS = 4;
/** Widths of a window: 8 is what byte digits allow, below 4 the additions outweigh any table. */
export const WINDOW_BITS_MIN = 4;
export const WINDOW_BITS_MAX = 8;
/** Bits a recoded scalar needs: (k - 1) / 2 below 2^253 and the digit sign on top. */
export const RECODED_BITS = 254;
/** Bit indices the kernel knows; a flag of Namada has 20. */
export const FLAG_BITS_MAX = 256;
/** Subkeys of a linear key: its walk must fit a batch. */
export const LINEAR_SUBKEYS_MAX = 128;
/** Degree of a linear key's polynomial: four keys' base points must fit a batch. */
export const DEGREE_MAX = 31;

/** Field constants in limbs, in the order of assembly/constants.ts. */
export const FIELD_CONSTANTS = 0;
export const SHA_CONSTANTS = 1280;
/** Nine vectors (vector-constants.ts). */
export const VECTOR_CONSTANTS = 1600;

/** From here on memory is wiped with the keys. */
export const WIPED = 2048;
/** Partial products of a multiplication (57 vectors), then limb sums of its operands (10 vectors). */
export const PRODUCT_SCRATCH = 2048;
export const SUM_SCRATCH = 3072;
/** Intermediate field elements: one file of slots for each level of the call tree. */
export const FIELD_SCRATCH = 3328;
export const POINT_SCRATCH = 4096;
export const CALLER_SCRATCH = 5120;
/** Four entries from the table for each quad of a block. */
export const ENTRIES = 8192;
/** Message schedule, second block's schedule with constants added, three states, canonical words of a quad. */
export const SHA_SCHEDULE = 10240;
export const SHA_SECOND = 11264;
export const SHA_PREFIX = 12288;
export const CANONICAL = 12672;
/** What the wrapper writes for a flag: u, basepoint, y/2 and m/2 (32 bytes each). */
export const FLAG_INPUT = 12800;
/** For each bit index what the hash bit must be: 0 or 1; 2, which nothing equals, beyond the flag's bits. */
export const FLAG_WANTED = 12928;
/** Subkey indices of the linear tile in hand, ascending. */
export const LINEAR_INDICES = 13184;
/** One byte for each point of a batch: its hash bit. */
export const HASH_BITS = 13312;
/** For each quad of a batch: the lanes in which the product to invert is not zero. */
export const NONZERO = 14336;
/** Four decoded points: u, basepoint, and both times 2^128. */
export const FLAG_POINTS = 16384;
/** Multiples 0 to 15 of those four, for w = m * basepoint + y * u. */
export const FLAG_MULTIPLES = 17408;
/** Bytes that 16 digits chose from each plane of a window. */
export const CHOSEN = 27648;
/** Points of a batch; later the four factors of their encodings. */
export const POINTS = 32768;
/** For each quad of a batch: e*g, f*h, the product to invert, the product of those before it. */
export const FACTORS = 114688;
/** Base points and differences of linear keys. */
export const BASES = 196608;
/** Window bases of the table while it is built: at most 64 points, by fours. */
export const WINDOW_BASES = 278528;
/** The fixed-base table: for every window 120 byte planes of its entries. */
export const TABLE = 294912;
/** Of the widest windows: 32 of 120 planes of 128 entries. */
export const TABLE_BYTES_MAX = 491520;
/** The tile of keys: last, so that memory can grow with it. */
export const TILE = 786432;
