import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { execa, execaSync } from 'execa';
import { onTestFinished } from 'vitest';

/** Sends a form and prints what came back: `STATUS TEXT`. */
const formProgram = `
  const [url, fields] = process.argv.slice(1);
  fetch(url, { method: 'POST', body: new URLSearchParams(JSON.parse(fields)), redirect: 'manual' })
    .then(async (answer) => process.stdout.write(answer.status + ' ' + (await answer.text())))
    .catch((error) => process.stdout.write('0 ' + String(error.cause?.code ?? error)));
`;

/** Opens connections, sends the same on each, and prints a line when all are made and for each that ends. */
const crowdProgram = `
  const { connect } = require('node:net');
  const [host, port, count, text] = process.argv.slice(1);
  let [made, ended] = [0, 0];
  for (let i = 0; i < Number(count); i += 1) {
    const socket = connect(Number(port), host, () => {
      socket.write(text);
      made += 1;
      if (made === Number(count)) process.stdout.write('made\\n');
    });
    socket.resume().on('error', () => undefined);
    socket.on('close', () => process.stdout.write(\`ended \${(ended += 1)}\\n\`));
  }
  process.stdin.resume().on('end', () => process.exit(0));
`;

/** Sends a text from one of the machine's addresses and does not wait for an answer. */
const leaverProgram = `
  const { connect } = require('node:net');
  const [localAddress, host, port, text] = process.argv.slice(1);
  const socket = connect({ host, port: Number(port), localAddress }, () => socket.end(text, () => process.exit(0)));
`;

/** Returns when that user's process has ended; nothing of this process runs meanwhile. */
export function sendAndLeaveAs(uid: number, from: string, url: URL, text: string): void {
  const args = ['-e', leaverProgram, from, url.hostname, url.port, text];
  execaSync(process.execPath, args, { uid, gid: uid, cwd: '/', env: { HOME: '/' } });
}

/** @param uid of the user who asks; the test runs as root */
export async function postAs(uid: number, url: string, fields: Record<string, string>): Promise<[number, string]> {
  const args = ['-e', formProgram, url, JSON.stringify(fields)];
  const { stdout } = await execa(process.execPath, args, { uid, gid: uid, cwd: '/', env: { HOME: '/' } });
  const status = /^\d+/.exec(stdout)?.[0] ?? '';
  return [Number(status), stdout.slice(status.length + 1)];
}

/** Connections of another user. */
export class OtherCrowd {
  readonly #child: ChildProcess;
  /** How many of them were ended from the other side. */
  ended = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async of(uid: number, count: number, url: URL, text: string): Promise<OtherCrowd> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const args = ['-e', crowdProgram, host, url.port, String(count), text];
    const child = spawn(process.execPath, args, { uid, gid: uid, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const crowd = new OtherCrowd(child);
    if (child.stdout === null) throw new TypeError('the child has no standard output');
    const lines = createInterface({ input: child.stdout });
    const made = new Promise<void>((done) => {
      lines.on('line', (line) => {
        if (line === 'made') done();
        else crowd.ended = Number(line.split(' ')[1]);
      });
    });
    await made;
    return crowd;
  }

  async leave(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await gone;
  }
}
