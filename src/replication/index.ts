// Replication: what becomes of the users' operations. The door of this module.

export { type AdmissionContext, type Admitted, admitFromMember, admitFromUser, checkAdmissible } from './admission.ts';
export { type Heights, mayServe, mustWipe } from './heights.ts';
export { type Meaning, meaningOf, operationsOf, type RegistrationState } from './merge.ts';
export { type OperationSummary, summarise } from './order.ts';
export { type Change, createRegistry, type Registry, type Standing } from './registry.ts';
export * from './roster/index.ts';
