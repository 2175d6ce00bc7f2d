// Who knew of a client that waits for the server to speak: as long as one of them goes on undisturbed, the client must
// be greeted.
import type { Replicator } from '../replication/replicator.ts';
import { isWell, type Station } from './cluster.ts';
import { knowsHandshake } from './holdings.ts';
import type { Talk } from './talks.ts';

/** A member that knew of the client, in one of its lives. */
interface Witness {
  readonly station: Station;
  readonly life: Replicator;
  /** What was done to it, or its cable, before. */
  readonly disturbances: number;
}

export class Witnesses {
  readonly #witnesses = new Map<Talk, Witness[]>();

  /** Looks who knows of a client; after every event. */
  look(talk: Talk, stations: readonly Station[]): void {
    const { client, irs } = talk;
    if (!client.script.plan.opaque || irs < 0 || client.heard > 0 || client.closed) return;
    const known = this.#witnesses.get(talk) ?? [];
    for (const station of stations) {
      const life = station.member.replicator;
      if (life === undefined || !isWell(station) || known.some((each) => each.life === life)) {
        continue;
      }
      if (!knowsHandshake(station, client.local, client.remote)) continue;
      known.push({ station, life, disturbances: station.disturbances });
      this.#witnesses.set(talk, known);
    }
  }

  /** The name of a member that knew of a client, and to which nothing has happened since; undefined if there is none. */
  undisturbed(talk: Talk): string | undefined {
    return this.#witnesses
      .get(talk)
      ?.find(
        ({ station, life, disturbances }) =>
          station.member.replicator === life &&
          station.disturbances === disturbances &&
          isWell(station),
      )?.station.name;
  }
}
