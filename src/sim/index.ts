// The simulator's face: a virtual clock, a switched network, and the loop that steps from event to event.
export { Channel, type Conditions, perfect } from '../link/channel.ts';
export { Bequeathing } from './bequeathing.ts';
export { type Passage, type PortOptions, SimulatedNetwork, SimulatedPort } from './network.ts';
export { type Actor, type RunEnd, type RunLimits, Simulation } from './simulation.ts';
export { VirtualClock } from './virtual-clock.ts';
