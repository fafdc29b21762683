/** Appliances that are remembered, each with one authority. */
const appliancesMax = 256;

/** An appliance that uses a name that the server does not go by. */
export interface ForeignAuthority {
  readonly appliance: string;
  readonly authority: string;
  readonly lastMs: number;
}

export interface ForeignAuthorities {
  /** Notes a request whose signature was verified. @returns whether it is news */
  note(appliance: string, authority: string, nowMs: number): boolean;
  /** The appliance uses one of the server's names again. */
  forget(appliance: string): void;
  /** Newest request first. */
  list(): ForeignAuthority[];
}

/** In memory only: the next check-in brings it again. */
export function foreignAuthoritiesBoard(): ForeignAuthorities {
  const byAppliance = new Map<string, ForeignAuthority>();
  return {
    note: (appliance, authority, lastMs) => {
      const isNews = byAppliance.get(appliance)?.authority !== authority;
      byAppliance.delete(appliance);
      byAppliance.set(appliance, { appliance, authority, lastMs });
      for (const oldest of byAppliance.keys()) {
        if (byAppliance.size <= appliancesMax) break;
        byAppliance.delete(oldest);
      }
      return isNews;
    },
    forget: (appliance) => {
      byAppliance.delete(appliance);
    },
    list: () => [...byAppliance.values()].reverse(),
  };
}
