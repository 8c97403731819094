# ruff: noqa: E501 - prose is data here, one set of alternatives a line
"""The second half of the story plots; see plots.py for the form."""

RACE = (
    '{Hero} was very fast. "[I am the fastest of all|Nobody is faster than me]," {he} said every day. [The others were tired of hearing it.|{He} laughed at {friend}, who was slow.]',
    'One day, {friend} said, "[I will race you|Let us run a race] to the [old tree|river|top of the hill]." {Hero} laughed [loudly|until {he} fell down]. "You? [You are so slow!|You will never win!]" {he} said. But {friend} only smiled.',
    '[The next morning, everyone came to watch.|A(n) {animal} counted to three.] "One, two, three, go!" {Hero} ran like the wind. Soon {friend} was far behind. "[I have so much time|This is too easy]," {hero} thought. [So {he} sat down to rest and fell asleep.|So {he} stopped to eat {treats}.|So {he} stopped to play.]',
    "{Friend} [went on, step by step|did not stop|kept going, slowly but surely]. [{F_he} passed {hero} without a sound.|{F_he} was tired, but {f_he} did not give up.]",
    'When {hero} looked up, [it was too late|{friend} was almost there]. [{He} ran as fast as {he} could|{He} jumped up and ran], but {friend} [was the first one there|had already won]. [Everyone cheered.|"Hooray for {friend}!" they called.]',
    '{Hero} was [ashamed|very quiet]. "[You won|I am sorry that I laughed at you]," {he} said. "[You are better than I thought|Well done]." {Friend} shook {his} hand. [Slow and steady wins the race.|After that, {hero} never laughed at others again.|And from then on they ran together.]',
)
BUILD = (
    "{Hero} and {friend} [wanted to build a sandcastle|wanted to build a tree house|built a big snowman|were building a tower of stones] {place}. [They worked all morning.|{Hero} had many ideas, and {friend} was very strong.]",
    '[It became bigger and bigger.|It was almost done.|It looked wonderful.] ["One more piece," said {hero}, "and then it is done."|"This is the best one in the world," said {friend}.]',
    "Then [a strong wind came|a big {animal} ran by|a(n) {animal} jumped right into it], and [it all fell down|everything broke]. [{Hero} sat down and cried.|{Friend} was so angry.|They looked at it and said nothing.]",
    '["I am very sorry," said the {animal}. "I did not look."|"All our work is gone," said {hero}.] "[We can build it again|Let us try once more]," said {friend}. "[This time it will be even better.|Now we know how to do it.|And this time we will make it stronger.]"',
    "So they began again. [The {animal} helped them.|{Hero} brought stones, and {friend} put them in the right place.|They worked slowly and carefully.] [When the sun went down, it was done.|In the end it was twice as big.]",
    '[They put a(n) {colour} flag on top.|They stood next to it and smiled.|"It is beautiful," they said.] [When you work together, you can do anything.|They were tired but very happy.|And {hero} knew that it is never too late to start again.]',
)
MAGIC = (
    'One {weather} day, {hero} found a(n) [strange|old|shiny|golden] {thing} {place}. [When {he} touched it, it began to shine.|{He} cleaned it with {his} hand.] "[I am a magic {thing}|Thank you for finding me]," it said. "I will give you one wish."',
    '{Hero} [could not believe {his} ears|was very surprised|thought for a long time]. [{He} could wish for a big house.|{He} could wish for gold.] [{He} could wish for a hundred {treats_pl}.|{He} could wish to fly.|] "[This is hard|I must think]," {he} said.',
    'On the way home, {he} met {friend}. {Friend} [was sick and could not play|had lost {f_his} {toy2}|was crying because {f_his} house was broken]. ["I am so sad," said {friend}.|"Nobody can help me," {f_he} said.]',
    'Then {hero} knew what to do. {He} took the {thing} and said, "[I wish that {friend} is happy again.|Please help my friend. That is my wish.]" [There was a bright light.|The {thing} shone like a star.] And [suddenly everything was good|the wish came true]!',
    '{Friend} [laughed and jumped|hugged {hero}]. "But now you have no wish for yourself," {f_he} said. {Hero} smiled. "[You are happy, and so am I|I have a good friend. What else do I need]," {he} said.',
    "[The {thing} never spoke again, but {hero} kept it for ever.|And the {thing} flew up into the sky and became a star.|That night, {hero} slept better than ever before.]",
)
SICK = (
    'One day, {friend} did not come to play. {Hero} waited {place}, but {friend} did not come. ["Where is {friend}?" {he} asked.|{He} was worried.] ["{Friend} is sick," said {his} {helper}.|Then {he} heard that {friend} was sick in bed.]',
    '"[I will visit {f_him}|I want to make {f_him} feel better]," said {hero}. {He} took [a(n) {treat}|a(n) {colour} flower|a picture book|some warm soup] and went to {friend}\'s house.',
    '{Friend} was in bed. {F_his} [nose was red|face was pale] and {f_he} looked [tired|sad]. "Hello, {hero}," {f_he} said in a weak voice. ["I cannot play today."|"I am so bored in bed."]',
    '"[Then I will stay here with you|I brought you something]," said {hero}. [{He} told a funny story about a(n) {animal} who wanted to {skill}.|{He} read a book to {friend}.|{He} sang a song and made funny faces.] {Friend} laughed [and laughed|for the first time that day].',
    "[{Hero} came back every day.|When it was time to go, {friend} felt much better.|{Friend} ate everything and fell asleep.] [After three days, {friend} was well again.|Soon {friend} could play outside again.]",
    '"You are the best medicine," said {friend}. [They both laughed.|And they ran {place_to} together.|{Hero} was happy to have {his} friend back.]',
)
SLEEP = (
    'It was night, and {hero} could not sleep. [{He} turned to the left and {he} turned to the right.|The moon was bright and the house was quiet.] ["I am not tired," {he} said.|"There is something under my bed," {he} thought.|{He} heard a strange sound.]',
    '{He} went to {his} {helper}. "I cannot sleep," {he} said. ["Count the stars," said {his} {helper}.|"Think of something nice," said {his} {helper}.|"Then I will tell you a story," said {his} {helper}.]',
    "So {hero} [lay down and looked out of the window|closed {his} eyes|went back to bed with {his} {toy}]. [{He} counted one star, two stars, three stars.|{He} thought of a(n) {animal} that slept on a soft cloud.|{He} thought of the sea and of a little boat.]",
    '[The wind sang in the trees.|The {toyname} was soft and warm.|An owl called far away.] [{Hero}\'s eyes became heavy.|{Hero} smiled.] ["Good night, moon," {he} whispered.|"Good night, stars," {he} whispered.|]',
    "And [before {he} could count to ten, {he} was asleep|then {he} slept until the morning|{he} dreamed that {he} could {skill}]. [In the morning, the sun was shining.|{His_helper} gave {him} a kiss and turned off the light.|It was a very good dream.]",
)
QUARREL = (
    '{Hero} and {friend} were best friends. But one day, they both wanted the same {toy}. ["It is mine!" said {hero}. "No, it is mine!" said {friend}.|"I had it first!" said {hero}. "No, I did!" said {friend}.]',
    'They pulled [and pulled|it this way and that way], and [the {toyname} broke|the {toyname} fell into the mud|they both fell down]. ["This is your fault!" they both shouted.|"I do not want to play with you any more," said {friend}.] [They went home and did not say goodbye.|{Hero} ran away.]',
    'At home, {hero} was [angry|sad|very quiet]. [{He} did not want to eat.|{He} looked at the rain.|It was no fun to play alone.] ["What is wrong?" asked {his} {helper}. {Hero} told {helper_him} everything.|{He} thought about all the good days with {friend}.]',
    '"[A friend is more important than a(n) {toyname}|Saying sorry is not easy, but it helps]," said {his} {helper}. {Hero} thought about it. [Then {he} put on {his} shoes and went out.|"You are right," {he} said.]',
    'On the way, {he} met {friend}, who was coming to see {him}! "I am sorry," said {hero}. "I am sorry too," said {friend}. [They both laughed.|They hugged each other.]',
    '[They fixed the {toyname} together.|Then they took turns with the {toyname}.|"You play first," said {hero}. "No, you," said {friend}.] [And it was more fun than ever.|From then on, they shared everything.|Good friends can say sorry.]',
)
TREASURE = (
    'One {weather} day, {hero} found an old map {inside}. [There was a red X on it.|It showed a river, a hill and a big red X.] "[A treasure map!|This must be a treasure!]" {he} said. {He} ran to {friend}. "[Come with me!|Let us find it!]"',
    "They [packed some food and a lamp|took a rope and {treats}] and [walked|went] [over the bridge|up the hill|along the river]. [It was a long way.|The sun was hot.|{Friend} was a little afraid.]",
    'In the forest they met a(n) {animal}. "[Where are you going?|What are you looking for?]" it asked. "We are looking for a treasure," said {hero}. "[It is under the old tree|Look behind the waterfall|Dig where three stones stand]," said the {animal}. "[But you must share it.|Good luck!]"',
    "They found the place and began to dig. [They dug and dug.|The ground was hard.] Then they [hit something|heard a sound]. It was a box! [It was old and heavy.|Slowly, they opened it.]",
    'Inside there was [no gold. There was a letter, and it said: "The real treasure is the friend next to you"|a(n) {thing} and {treats} for everyone|a bag of golden coins|a(n) {toy2} and an old picture book]. [{Hero} and {friend} looked at each other and laughed.|"Wow!" they said.]',
    '[They shared everything with the {animal}.|They gave some of it to all their friends.|On the way home, they sang a song.] [It was the best day of their lives.|And they kept the map for ever.|"Where shall we go tomorrow?" asked {friend}.]',
)
SMALLHELP = (
    '{Hero} was the smallest of all. ["You are too small," the others always said. "You cannot help."|The big ones never let {him} play.] [This made {hero} sad.|"One day I will be big," {he} thought.]',
    'One day, {friend} [lost a key, and it fell into a small hole|got {f_his} foot stuck in a net|dropped {f_his} ring between two rocks]. [The {animal} tried to help, but {animal_it} was too big.|Everyone tried, but nobody could do it.] ["My hand is too big," said one.|"We need someone small," said {friend}.]',
    '"[I can do it|Let me try]," said {hero}. [The others laughed, but {friend} did not.|Everyone looked at {him}.] [{He} was so small that it was easy.|{He} went in and worked very carefully.]',
    '[A moment later, it was done!|Soon {he} came back, and {he} had done it!] [Everyone cheered.|The others could not believe it.] "[Thank you, little {hero}|You saved the day]," said {friend}.',
    '[From that day on, nobody said that {hero} was too small.|"I am small," said {hero}, "but I can do big things."|Then all the others wanted to be {his} friends.] [Everyone is good at something.|Even the smallest can help.]',
)
GREED = (
    '{Hero} loved {treats}. One day, {his} {helper} made [a big plate|a whole basket] of them. "[Please take only one now|These are for everyone]," said {his} {helper}. "[The others will come soon.|We will eat them together.]"',
    'But {hero} [was alone|could not wait]. {He} ate one. It was so good! [Then {he} ate one more, and one more.|"Nobody will see it," {he} thought, and {he} took another one.] [Soon the plate was empty.|Soon they were all gone.]',
    'Then {his} stomach [began to hurt|hurt very much]. "Ow," said {hero}. [{He} lay down on the floor.|{He} felt terrible.] Just then, {friend} and the others came. "[Where are the {treats}?|We are so hungry!]" they said.',
    '{Hero} [began to cry|looked at the floor]. "I ate them all," {he} said. "[I am sorry|I was greedy, and now I feel sick]." [The others were sad.|Nobody said a word.] [{His_helper} made {him} some tea.|{Friend} brought {him} some water.]',
    'The next day, {hero} [made new {treats} with {his} {helper}|got up early and made something for everyone]. {He} gave [the biggest one to {friend}|one to each of them]. "[These are for you|Please take one]," {he} said. [Everyone was happy again.|And {hero} only took one.] [Too much of a good thing is not good.|Now {hero} knew that it is better to share.]',
)
GIFT = (
    '{Hero} wanted to buy [a(n) {toy}|a(n) {toy} for {friend}]. It cost ten coins, but {he} had only {number} coins. "[What can I do?|How can I get more coins?]" {he} asked.',
    '"You can [work for it|help people]," said {his} {helper}. So {hero} [helped the baker carry flour|cleaned the windows|watered the flowers of an old woman|helped a farmer feed the {animals}]. [It was hard work.|Every day {he} got one coin.] [{He} put the coins in a small box.|{He} counted the coins every night.]',
    'At last, {he} had enough. {He} ran to the shop. [But on the way, {he} saw an old man who was cold and hungry.|But then {he} saw {friend}, who was crying. "I lost my money for bread," {f_he} said.] {Hero} looked at {his} coins. [{He} thought about the {toyname}.|It was so hard!]',
    'Then {he} gave the coins away. "[Please take this|You need it more than I do]," {he} said. ["You have a good heart," came the answer.|"Thank you! I will never forget this."] {Hero} went home with an empty hand but a [happy|warm] heart.',
    'The next morning, there was [a box|something] at {his} door. In it was the {toyname}! [On it was a note: "For a kind {kind}."|The baker had seen everything and had bought it for {him}.] {Hero} [laughed for joy|was the happiest {kind} of all]. [Those who give also receive.|]',
)
VISIT = (
    "One {weather} day, {hero} and {his} {helper} went {place_to}. [{Hero} was very excited.|It was the first time for {hero}.] [They took {treats} with them.|{Hero} took {his} {toy} with {him}.]",
    'First, they saw a(n) {animal}. [It had a(n) {thing} next to it.|It was looking for food.] "[Look, a(n) {animal}!|Hello, {animal}!]" said {hero}. [The {animal} looked at {him} and said nothing.|"Hello, {hero}," said the {animal}. "It is a nice day."]',
    'Then they [sat down and ate|walked a little more|played a game]. [{Hero} ran after a(n) {colour} butterfly.|{Hero} found a(n) {colour} {thing} on the ground.] "[May I keep it?|Is it not pretty?]" {he} asked. ["Of course," said {his} {helper}.|"Yes, it is," said {his} {helper}.]',
    "[Suddenly, it began to rain, and they hid under a tree.|Then they met {friend}, and they all played together.|In the afternoon, they slept in the grass.] [{Hero} laughed all the time.|It was so nice there.]",
    'When the sun went down, they [went home|walked home slowly]. {Hero} was tired and happy. "[Can we go there again tomorrow?|That was the best day ever,]" {he} [said|asked]. {His_helper} smiled. ["Yes, we can."|"We will see," came the answer.|And {hero} was asleep before they were home.]',
)
