import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { answerKeysBytesMax, answerKeysShape } from '../protocol/answer-keys.ts';
import { type AgentCredentials, agentCredentialsShape } from '../protocol/claim.ts';
import { type PublicKey, privateKeyFromPem } from '../protocol/trust/ed25519.ts';
import type { AgentFiles } from './effects/effects.ts';
import { AgentError, systemCode } from './errors.ts';
import { agentTexts } from './texts.ts';

const credentialsBytesMax = 16 * 1024;
const noJson = Symbol('no JSON');

export interface Credentials extends Omit<AgentCredentials, 'answerKeys' | 'privateKey'> {
  readonly answerKeys: readonly PublicKey[];
  readonly key: KeyObject;
}

export class CredentialsError extends Error {
  readonly code: 'credentials-missing' | 'credentials-invalid';
  constructor(code: CredentialsError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The one source of the agent's identity and of the server that it trusts (S39), read for each check-in, so that a
 * rotation needs no restart. No key material is ever part of a message.
 * @throws CredentialsError
 */
export async function readCredentials(files: AgentFiles, path: string): Promise<Credentials> {
  const text = await readOrRefuse(files, path);
  if (text === null) {
    throw new CredentialsError('credentials-missing', agentTexts.notSetUp(path));
  }
  try {
    const { privateKey, ...rest } = agentCredentialsShape.parse(JSON.parse(text));
    return { ...rest, key: privateKeyFromPem(privateKey) };
  } catch (error) {
    // A JSON error quotes the text that it read: the cause is dropped, because it could carry a private key.
    const what =
      error instanceof z.ZodError ? error.issues.map(({ path: at }) => at.join('.')).join(', ') : agentTexts.noJson;
    throw new CredentialsError('credentials-invalid', agentTexts.otherCredentials(path, what));
  }
}

/**
 * The keys that sign the server's answers now: those that the updater took from signed metadata or, before that, those
 * of the claim. An unreadable file names none.
 */
export async function readAnswerKeys(
  files: AgentFiles,
  path: string,
  enrolled: readonly PublicKey[],
): Promise<readonly PublicKey[]> {
  try {
    const parsed = answerKeysShape.safeParse(parseJson(await files.readText(path, answerKeysBytesMax)));
    return parsed.success ? parsed.data.answerKeys : enrolled;
  } catch (error) {
    if (error instanceof AgentError || systemCode(error) !== null) return enrolled;
    throw error;
  }
}

function parseJson(text: string | null): unknown {
  if (text === null) return noJson;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return noJson;
    throw error;
  }
}

async function readOrRefuse(files: AgentFiles, path: string): Promise<string | null> {
  try {
    return await files.readText(path, credentialsBytesMax);
  } catch (cause) {
    if (systemCode(cause) === null) throw cause;
    throw new CredentialsError('credentials-invalid', agentTexts.credentialsUnreadable(path, systemCode(cause)), {
      cause,
    });
  }
}
