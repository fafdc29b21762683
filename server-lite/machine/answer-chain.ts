import { sha256 } from '../../protocol/digest.ts';

/** Answers of one key that are remembered as ones that nobody can have taken. */
const deadKept = 256;
/** One may be a machine whose memory was put back (a snapshot of a virtual one). */
const contradictionsMin = 2;

/**
 * Checks which answer each request names as the last one that its program took. A program asks, waits, and asks again:
 * it never takes an answer that had not arrived when it asked again. So after each request the next one can name only
 * two answers: the one that this request named, and the answer to this request. A program that names another answer
 * that was given in between is a second holder of the key, whatever boot and counter it copied. A lost answer is never
 * named. A program that remembers no answer (it has just started, or its version names none) says nothing, and its
 * chain begins anew.
 */
export interface AnswerChains {
  /**
   * Notes a request whose counter was taken.
   * @param last the digest of the signature of the answer that it names
   * @param knewBoot the key was used in this boot before. A contradiction in a new one is a disk that was put back, and does
   * not count
   * @returns whether this key is in use twice
   */
  took(keyId: string, knewBoot: boolean, last: string | undefined): boolean;
  /** The answer to the last request that was taken, by its `signature` header; any other one is not in the chain. */
  answered(keyId: string, signature: string): void;
  forget(keyId: string): void;
}

interface Chain {
  /** What the last request named. */
  readonly named: string | undefined;
  /** The answer to that request; undefined: not signed yet. */
  readonly issued: string | undefined;
  /** Newest last. */
  readonly dead: readonly string[];
  readonly contradictions: number;
}

/** In memory: after a restart a named answer is unknown, and the chain begins with it. */
export function answerChains(): AnswerChains {
  const chains = new Map<string, Chain>();
  return {
    took: (keyId, knewBoot, last) => {
      const before = chains.get(keyId);
      const { dead = [], contradictions = 0 } = before ?? {};
      // Where more are dead than are remembered, one that is not known here is one of those that were forgotten.
      const isForgotten = dead.length === deadKept && last !== before?.named && last !== before?.issued;
      const isDead = last !== undefined && (dead.includes(last) || isForgotten);
      const now = contradictions + (isDead && knewBoot ? 1 : 0);
      const passed = [before?.named, before?.issued].filter((one) => one !== undefined && one !== last);
      const left = [...dead.filter((one) => one !== last), ...passed] as readonly string[];
      chains.set(keyId, { named: last, issued: undefined, dead: left.slice(-deadKept), contradictions: now });
      return now >= contradictionsMin;
    },
    answered: (keyId, signature) => {
      const chain = chains.get(keyId);
      if (chain !== undefined && chain.issued === undefined) chains.set(keyId, { ...chain, issued: sha256(signature) });
    },
    forget: (keyId) => {
      chains.delete(keyId);
    },
  };
}
