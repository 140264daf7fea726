import { resumption, suspension, suspensionWithdrawn } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [suspension, resumption, suspensionWithdrawn]) describeKillPoints(scenario);
