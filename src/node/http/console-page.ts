// The console: one page without anything from elsewhere. Its script and style are named by hash in the policy the
// browser enforces, and whatever a peer calls itself reaches the page as text, never as markup.

import { sha256 } from '#crypto';
import { utf8 } from '../../core/bytes.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #c0322b; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
#simulated { background: #b35900; color: #fff; font-size: 2rem; font-weight: 800; letter-spacing: .2em;
  padding: .3em; text-align: center; }
h1 { font-size: 1.4rem; margin: .8rem 0 0; } h2 { font-size: 1rem; margin: 0 0 .4rem; }
#phase { font-size: 1.4rem; font-weight: 700; } .good { color: var(--good); } .bad { color: var(--bad); }
#parts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); margin: 1rem 0; }
section { border: 1px solid var(--line); border-radius: .5rem; overflow-x: auto; padding: .8rem; }
dl { display: grid; gap: 0 1rem; grid-template-columns: auto 1fr; margin: 0; } dd { margin: 0; text-align: right; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .2rem .6rem .2rem 0; text-align: left; }
dd, td, code { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
[hidden] { display: none; }
`;

const SCRIPT = `
'use strict';
const at = (id) => document.getElementById(id);
const make = (tag, text) => {
  const node = document.createElement(tag);
  node.textContent = String(text);
  return node;
};
const megabytes = (bytes) => (bytes / 1e6).toFixed(1) + ' MB';
const list = (id, facts) =>
  at(id).replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [make('dt', name), make('dd', value)]));
function show(state) {
  const { heights, registrations, replication, detection, memory, quorum } = state;
  at('simulated').hidden = !state.simulated;
  at('phase').textContent = state.phase + (state.ready ? '' : ', not ready');
  at('phase').className = state.ready ? 'good' : 'bad';
  at('reasons').replaceChildren(...state.reasons.map((reason) => make('li', reason)));
  list('node', { node: state.nodeId, cluster: state.clusterId, configuration: state.configVersion,
    incarnation: state.incarnation, version: state.version });
  list('heights', heights);
  list('registrations', registrations);
  list('detection', { keys: detection.keys, 'pairs pending': detection.pending,
    'blocks behind': detection.blocksBehind });
  list('replication', { 'entries missing': replication.entriesMissing, logs: replication.logs,
    'not anchored': replication.unanchored, 'looked for': replication.wanted, alarms: replication.alarms });
  list('memory', { resident: megabytes(memory.residentBytes), keys: megabytes(memory.keyBytes) });
  list('quorum', quorum);
  at('members').replaceChildren(...state.members.map((member) => {
    const row = document.createElement('tr');
    row.append(...[member.operator, member.nodeId, member.phase, member.tcbStatus, member.lag,
      Math.round(member.lastSeenSeconds) + ' s'].map((text) => make('td', text)));
    return row;
  }));
}
async function refresh() {
  try {
    const answer = await fetch('/console/state', { cache: 'no-store' });
    if (!answer.ok) throw new Error('status ' + answer.status);
    show(await answer.json());
    at('trouble').textContent = '';
  } catch (error) {
    at('trouble').textContent = 'This page is out of date: ' + error.message;
  }
  setTimeout(refresh, 2000);
}
refresh();
`;

const part = (id: string, title: string) => `<section><h2>${title}</h2><dl id="${id}"></dl></section>`;

/** The page, the same for every node: what it shows it fetches. */
export const CONSOLE_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kith</title>
<style>${STYLE}</style>
<div id="simulated" hidden>SIMULATED</div>
<h1>kith node</h1>
<div id="phase">...</div>
<ul id="reasons"></ul>
<div id="trouble" class="bad" role="status"></div>
<div id="parts">
${part('node', 'Node')}${part('heights', 'Heights')}${part('registrations', 'Registrations')}
${part('replication', 'Replication')}${part('detection', 'Detection')}${part('memory', 'Memory')}${part('quorum', 'Quorum')}
</div>
<section><h2>Members</h2><table>
<thead><tr><th>operator</th><th>node</th><th>phase</th><th>TCB</th><th>lag</th><th>seen</th></tr></thead>
<tbody id="members"></tbody></table></section>
<script>${SCRIPT}</script>
</html>
`;

const hashOf = (text: string): string => `'sha256-${Buffer.from(sha256(utf8(text))).toString('base64')}'`;

/** Content-Security-Policy of the page: its own script and style, its own state, and nothing else. */
export const CONSOLE_POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
