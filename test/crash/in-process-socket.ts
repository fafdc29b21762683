import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

/**
 * From now on whoever connects to `path` in this thread reads an answer and then the end, as from a socket; null: only the
 * end. A real one takes a hundred times as long, and a thread of the enumerator would spend a fifth of its time there; the
 * tests of the same kinds have a real one.
 */
export function answerInProcess(path: string, answer: () => string | null): void {
  net.connect = new Proxy(net.connect, {
    apply: (target, self, args: unknown[]) =>
      args[0] === path ? connected(answer) : Reflect.apply(target, self, args),
  });
  syncBuiltinESMExports();
}

function connected(answer: () => string | null): EventEmitter {
  const socket = new EventEmitter();
  const destroy = () => socket.removeAllListeners();
  queueMicrotask(() => {
    const text = answer();
    if (text !== null) socket.emit('data', Buffer.from(text));
    socket.emit('end');
  });
  return Object.assign(socket, { destroy });
}
