import { newColourTornDown, oldColourTornDown, secondColour } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [secondColour, oldColourTornDown, newColourTornDown]) describeKillPoints(scenario);
