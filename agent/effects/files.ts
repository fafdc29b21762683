import { constants } from 'node:fs';
import { open, stat, statfs } from 'node:fs/promises';
import { AgentError, systemCode } from '../errors.ts';
import { agentTexts } from '../texts.ts';
import type { AgentFiles } from './effects.ts';

/** Magic numbers of file systems that forget at power-off (statfs(2)): tmpfs, ramfs. */
const volatileTypes = new Set([0x01021994, 0x858458f6]);

export const systemFiles: AgentFiles = {
  async readText(path, bytesMax) {
    try {
      const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const facts = await handle.stat();
        const { size } = facts;
        // A device or a pipe may have no end.
        if (!facts.isFile()) throw new AgentError('not-a-file', agentTexts.notAFile(path), agentTexts.fileTooLargeNext);
        if (size > bytesMax) {
          throw new AgentError(
            'file-too-large',
            agentTexts.fileTooLarge(path, size, bytesMax),
            agentTexts.fileTooLargeNext,
          );
        }
        return await handle.readFile('utf8');
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  },

  async mark(path) {
    try {
      const { ino, mtimeMs, size } = await stat(path);
      return `${ino} ${mtimeMs} ${size}`;
    } catch (error) {
      if (systemCode(error) !== null) return null;
      throw error;
    }
  },

  async touch(path) {
    // Not utimes: only the owner may set times, and the hint is root's; writing a byte also moves the time.
    const handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      await handle.write('\n', 0);
    } finally {
      await handle.close();
    }
  },

  async space(path) {
    try {
      const { bavail, bsize, type } = await statfs(path);
      return { freeBytes: bavail * bsize, volatile: volatileTypes.has(type) };
    } catch (error) {
      // A file system that does not report it (EIO, ENOSYS) is unknown; that is an answer, not a fault of the agent.
      if (systemCode(error) !== null) return null;
      throw error;
    }
  },
};
