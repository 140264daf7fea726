import { recovery, restart, rollBack } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [rollBack, recovery, restart]) describeKillPoints(scenario);
