import { z } from 'zod';
import { digestShape } from './digest.ts';
import { publicKeyShape } from './trust/ed25519.ts';

/** More than a server ever has: one in use and one to follow, for a few servers. */
const keysMax = 64;

/** answer-keys.json: the keys that sign the server's answers, as the trusted targets name them. Not secret. */
export const answerKeysShape = z.object({
  v: z.literal(1),
  /** Digest of the stored metadata that the keys come from: other metadata may name other keys. */
  of: digestShape,
  answerKeys: z.array(publicKeyShape).min(1).max(keysMax),
});
export type AnswerKeys = z.infer<typeof answerKeysShape>;

/** The size limit of answer-keys.json. */
export const answerKeysBytesMax = 16 * 1024;
