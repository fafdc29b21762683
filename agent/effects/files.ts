import { constants } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { AgentError, systemCode } from '../errors.ts';
import type { AgentFiles } from './effects.ts';

/** Magic numbers of file systems that forget at power-off (statfs(2)): tmpfs, ramfs. */
const volatileTypes = new Set([0x01021994, 0x858458f6]);

export const systemFiles: AgentFiles = {
  async readText(path, bytesMax) {
    try {
      const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const { size } = await handle.stat();
        if (size > bytesMax) {
          throw new AgentError('file-too-large', `${path} has ${size} bytes, ${bytesMax} are allowed`, 'look at it');
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

  async touch(path) {
    // Not utimes: setting times needs the owner, and the hint is root's; writing a byte moves the time as well.
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
      // A file system that does not say (EIO, ENOSYS) is unknown; that is an answer, not a fault of the agent.
      if (systemCode(error) !== null) return null;
      throw error;
    }
  },
};
