// Completes package-lock.json after `npm install` from a registry that offers only packages for this platform: npm then
// leaves the other platforms' optional packages out, and `npm ci` refuses the file for it, here and elsewhere. Each
// entry gets the version its parent pins and the platform its name tells; npm fetches integrity and address where it
// installs one.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
const { packages } = lock;

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const CPUS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64', 'wasm32'];

/** Whether npm would find `name` from the package at `from`. */
function found(name, from) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = words.some((word) => word.startsWith('wasm32'))
    ? 'wasm32'
    : (CPUS.find((candidate) => words.includes(candidate)) ?? CPUS.find((candidate) => name.includes(`-${candidate}`)));
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.includes('gnu') && os === 'linux'
      ? 'glibc'
      : undefined;
  return {
    ...(cpu ? { cpu: [cpu] } : {}),
    ...(libc ? { libc: [libc] } : {}),
    ...(os ? { os: [os] } : {}),
  };
}

for (const [from, entry] of Object.entries(packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (from === '' || found(name, from)) continue;
    const platform = platformOf(name);
    if (!platform.os && !platform.cpu) throw new Error(`${from} wants ${name}: no platform in its name`);
    packages[`node_modules/${name}`] = {
      version: range.replace(/^[~^]/, ''),
      ...(platform.cpu ? { cpu: platform.cpu } : {}),
      ...(entry.dev ? { dev: true } : {}),
      ...(platform.libc ? { libc: platform.libc } : {}),
      optional: true,
      ...(platform.os ? { os: platform.os } : {}),
    };
    console.log(`added ${name} ${range}`);
  }
}
const order = Object.keys(packages).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
lock.packages = Object.fromEntries(order.map((key) => [key, packages[key]]));
writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
