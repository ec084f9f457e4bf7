export type Role = 'serve' | 'gateway' | 'c2s'
export interface Running { clientUrl?: string; clientPort?: number; internalUrl?: string; internalPort?: number; engine: string; bus: string; stop(): Promise<void> }
