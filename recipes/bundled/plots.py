# ruff: noqa: E501 - prose is data here, one set of alternatives a line
"""Story plots: each is a tuple of beats, each beat a template of grammar.expand. Slots are cast by stories.py.

hero and friend have pronouns (he him his, f_he f_him f_his); helper is a grown-up, animal somebody met on the way.
"""

LOST = (
    "[{Hero} had a(n) {toy} that {he} loved very much.|{Hero}'s favorite thing was a(n) {toy}.|{Hero} took {his} {toy} everywhere.]"
    "[ {He} played with it every day.| {He} slept with it every night.| It was a gift from {his} {helper}.|]",
    "One [day|morning|afternoon], [the {toyname} was gone|{he} could not find the {toyname}|the {toyname} was not in its place].",
    '[{Hero} was very sad.|{Hero} began to cry.|{Hero} felt worried.] ["Where is my {toyname}?" {he} [asked|said].|"Oh no! Where can it be?" {he} said.]',
    "[{He} looked under the table, but it was not there.|{He} looked in the kitchen and in the garden.|{He} looked in every room.] [Then {he} looked {hide_no}.|Nobody had seen it.|There was no {toyname} at all.|]",
    '[{Friend} wanted to help.|{Friend} saw that {hero} was sad.|Then {friend} came by.] "[Do not worry|Do not cry], {hero}," said {friend}. "[We will find it together.|Let us look again.|Two can look better than one.]"',
    '[They looked and looked.|They walked slowly and looked everywhere.|They asked everyone they met.] [At last,|Then|After a while,] {friend} [saw something {colour}|called out|pointed]{hide_at}. ["Look!" {f_he} said.|"Is this yours?" {f_he} asked.|]',
    'It was the {toyname}! [{Hero} [laughed|jumped up and down|smiled] and hugged {friend}.|{Hero} was so happy that {he} danced.] "[Thank you|Thank you so much], {friend}!" {he} said.',
    "[From that day on, {hero} always put the {toyname} back in its place.|That night, {hero} slept with the {toyname} in {his} arms.|{Hero} and {friend} played with the {toyname} until [dinner|the sun went down].|{Hero} knew that {friend} was a true friend.]",
)
LEARN = (
    "{Hero} wanted to learn to {skill}. [It looked so easy|It looked like so much fun|All the others could do it], [but {he} did not know how|but every time {he} tried, it went wrong].",
    '[The first time, {he} fell down.|On the first day, it did not work at all.|{He} tried once, and {he} tried twice, but {he} could not do it.] ["I will never learn to {skill}," {he} said.|"It is too hard!" {he} cried.|{Hero} felt [sad|angry] and sat down.]',
    '[{His} {helper} saw this.|{Friend} was watching.|{Friend} sat down next to {him}.] "[Everything is hard at first,|You only need to try again,|Nobody can do it on the first day,]" [said {his} {helper}|came the answer]. "[Try a little every day.|Go slowly, one step at a time.|I will help you.]"',
    "So {hero} [practiced|tried] [every day|every morning|again and again]. [{He} practiced in the sun and in the rain.|Some days were good and some days were bad.|Sometimes {he} wanted to stop, but {he} did not give up.]",
    '[Then, one day,|After a week,|At last,|One {weather} day,] it worked! {Hero} could {skill}! ["Look at me!" {he} shouted.|"I can do it!" {he} called.|{He} laughed with joy.]',
    '[Everyone clapped.|{Friend} clapped and cheered.|{His} {helper} was very proud.] ["I knew you could do it," said {friend}.|"You did not give up," said {friend}.|]',
    "[{Hero} learned that hard things get easier when you try again.|Now {hero} helps others who want to learn.|And {hero} was the happiest {kind} in the whole [village|town|land].]",
)
SHARE = (
    "One day, {hero} had a(n) {treat}. [It smelled so good.|It was still warm.|It was the best {treat} {he} had ever seen.] {Hero} [sat down {place} to eat it|wanted to eat it all alone|went {place_to} to eat it].",
    '[Just then, {friend} came along.|Then {he} saw {friend}.|{Friend} was sitting nearby.] {Friend} looked [sad and hungry|tired and hungry|at the {treat} and said nothing]. ["I have had nothing to eat today," said {friend}.|"I am so hungry," said {friend}.|"That smells good," {friend} said softly.]',
    '{Hero} looked at the {treat}. [It was not very big.|{He} really wanted all of it.|{He} thought for a moment.] [But {he} did not want {friend} to be hungry.|But {he} remembered what {his} {helper} always said: "Sharing makes us happy."|Then {he} looked at {friend}.]',
    '[So {he} cut it into two parts.|So {he} gave half of it to {friend}.|"Here, take some," said {hero}.] "[Please eat with me|We can share it|Half for you and half for me]," {he} said. {Friend} [smiled|was so happy|could hardly believe it]. "Thank you!" {f_he} said.',
    "[They ate together and talked.|They ate and laughed.|The {treat} tasted even better that way.] [When they were done, they played {place}.|The sun was warm and the birds sang.|]",
    '[The next day, {friend} came back with a(n) {thing}. "This is for you," {f_he} said.|The next day, {hero} forgot {his} lunch, and {friend} shared with {him}.|From then on, they ate together every day.] [And so they became good friends.|{Hero} was glad that {he} had shared.|{Hero} learned that sharing makes everything taste better.]',
)
FEAR = (
    "{Hero} was afraid of {fear}. [Every time, {he} hid under a blanket.|Every time, {he} ran away.|{He} did not want anyone to know.] [The others laughed at {him}.|{He} felt ashamed.|]",
    '[One evening|One day|One night], {friend} [was in trouble|did not come home|called for help]. ["Help! I am stuck!" called {friend}.|"Please help me!" {f_he} cried.] [But to reach {f_him}, {hero} had to face {fear}.]',
    '{Hero}\'s [heart beat fast|legs shook|hands were cold]. ["I am so scared," {he} whispered.|{He} wanted to run away.|{He} closed {his} eyes.] [But {friend} needed {him}.|Then {he} thought of {friend}.]',
    "[{He} took a deep breath.|{He} counted to three.|{He} sang a little song to be brave.] [Step by step, {he} went on.|Slowly, {he} took one step, and then one more.|Then {he} ran as fast as {he} could.]",
    '[At last {he} reached {friend} and held out {his} hand.|There was {friend}! {Hero} helped {f_him} up.|{He} found {friend} and pulled {f_him} out.] "[You came!|You are so brave!|You saved me!]" said {friend}.',
    '{Hero} looked around. [It was not so bad after all.|Nothing bad had happened.|{The_fear} did not look so terrible now.] "I was scared," {he} said, "but I [did it anyway|wanted to help you]."',
    '[{His} {helper} hugged {him} and said, "Being brave means that you are afraid and still do the right thing."|From that day on, {hero} was not so afraid any more.|That is how {hero} learned to be brave.]',
)
RESCUE = (
    'One {weather} [day|morning], {hero} was walking {place}. [Suddenly, {he} heard a small sound.|Then {he} heard someone crying.|{He} heard a weak little voice.] ["Help, help!"|"Please help me!"|It came from the grass.]',
    "[It was a little {animal}.|There sat a small {animal}.|{He} saw a(n) {animal}.] [It had hurt its leg.|It had fallen into a hole.|It was lost and cold.|It was stuck between two stones.] [The poor {animal} was shaking.|It looked at {hero} with big eyes.]",
    '"Do not be afraid," said {hero}. "I will help you." [{He} picked it up very carefully.|{He} moved slowly and spoke softly.|{He} ran to get {his} {helper}.] [{He} gave it water and something to eat.|{He} put it in a warm box.|{He} wrapped it in {his} scarf.]',
    "[{Hero} took care of the {animal} for many days.|Every day, {hero} fed the {animal} and talked to it.|That night, {hero} stayed with the {animal}.] [Soon it was strong again.|Little by little, it got better.|In the morning, it could walk again.]",
    '[Then it was time to say goodbye.|One day, the {animal} wanted to go home.|{Hero} took the {animal} back to its family.] [{Hero} was a little sad, but also happy.|"Goodbye, little friend," said {hero}.|The {animal} looked back one last time.]',
    "[After that, the {animal} often came to visit.|A week later, the {animal} came back with a(n) {thing} as a gift.|Some time later, {hero} got lost {place}, and it was the {animal} who showed {him} the way home.] [Kindness always comes back.|And they stayed friends for ever.|{Hero} was very happy that {he} had helped.]",
)
HONEST = (
    "One day, {hero} was playing {inside} with a(n) {toy}. [{He} ran and jumped|{He} was not careful|{He} threw the {toyname} too high], and [crash! A(n) {helper_thing} fell down and broke|a(n) {helper_thing} fell on the floor and broke].",
    '[{Hero} looked at the pieces.|{Hero} stood very still.] [It was the favorite {helper_thing} of {his} {helper}.|"Oh no," {he} whispered.] [{He} was afraid that {his} {helper} would be angry.|{He} wanted to hide the pieces.|"I can say that the cat did it," {he} thought.]',
    '[When {his} {helper} came home, {hero} did not say anything.|{His} {helper} came in and saw the pieces.] "[What happened here?|Who did this?]" asked {his} {helper}. [{Hero} felt a stone in {his} stomach.|{Hero}\'s face became red.|{Hero} looked at {his} feet.]',
    '[Then {he} took a deep breath.|{He} did not want to lie.|{He} thought about it.] "[I did it|It was me]," {he} said. "[I am very sorry.|I was not careful. I am sorry.]"',
    '{His_helper} [was quiet for a moment|looked at {him} and then smiled|hugged {him}]. "[Thank you for telling me the truth|I am glad that you told me the truth|A cup can break, but the truth is worth more]. [We can fix it together.|Please be more careful next time.]"',
    "[Together they cleaned the floor.|They glued the pieces together.|They picked up the pieces together.] [{Hero} felt light and happy again.|{Hero} promised to play outside with the {toyname}.] [It is always better to tell the truth.|From then on, {hero} always told the truth.]",
)
NEWFRIEND = (
    '{Hero} [was often alone|had just moved to a new place|did not have any friends {place}]. [{He} wanted a friend to play with.|"I wish I had a friend," {he} said.|Every day, {he} played alone with {his} {toyname}.]',
    "One {weather} day, {he} went {place_to}. There {he} saw {friend_is}. {Friend} was [playing with a(n) {toy2}|sitting alone|looking at the clouds].",
    '{Hero} wanted to say hello, but {he} was [shy|a little afraid]. [What if {friend} did not like {him}?|{He} hid behind a tree.|{He} walked past two times.] [At last {he} said, "Hello. My name is {hero}."|Then {he} said very quietly, "Hi."]',
    '[{Friend} looked up and smiled.|{Friend} was surprised, and then {f_he} smiled.] "Hello, {hero}! [I am {friend}. Do you want to play with me?|My name is {friend}. I am so glad to meet you.|I am {friend}. I was hoping that someone would come.]"',
    "They [played|laughed and ran|talked and played] [all day|all afternoon|until it was dark]. [{Friend} showed {hero} the {toy2}.|They told each other funny stories.|They found out that they both liked {treats}.]",
    '["Will you come again tomorrow?" asked {friend}. "Yes!" said {hero}.|"You are my best friend," said {hero}.|When {hero} went home, {he} was smiling.] [After that day, {hero} was never lonely again.|And they met there every day.|Sometimes one small hello is enough to make a friend.]',
)
GARDEN = (
    '{His_helper} gave {hero} a(n) [small|tiny|little brown] seed. "[Plant it and wait|Give it water and love]," {he_helper} said, "and something wonderful will happen."',
    '{Hero} [put the seed in the ground|dug a small hole and put the seed in it|planted the seed {place_garden}]. [Every day, {he} gave it water.|{He} gave it water every morning.] [But nothing happened.|{He} waited and waited.|"Why does it not grow?" {he} asked.]',
    '[{Friend} laughed and said, "That seed will never grow."|"You must be patient," said {friend}.|After a week, there was still nothing to see.] [But {hero} did not give up.|{Hero} was sad, but {he} kept on.|{Hero} sat next to it and told it stories.]',
    'Then, one {weather} morning, [there was a small green leaf|{hero} saw something green|a tiny plant looked out of the ground]! ["Look! It is growing!" {he} shouted.|{Hero} could not believe {his} eyes.] [It grew a little every day.|Day by day, it grew taller and taller.]',
    "[Soon it was a beautiful {colour} flower.|In summer, it was a big sunflower.|At last it was a pumpkin, as big as a chair.|It became a little tree with sweet apples.] [Everyone came to see it.|Bees and butterflies came to visit.|]",
    '["You were right to wait," said {friend}.|{His_helper} smiled. "You took good care of it."|{Hero} gave some new seeds to {friend}.] [Good things take time.|{Hero} learned to be patient.|And the next year, they planted a whole garden.]',
)
BIRTHDAY = (
    "It was {friend}'s birthday. {Hero} wanted to [give {f_him} a present|make {f_him} happy|do something special]. But {he} [had no money|did not know what to do|had only one coin].",
    '[{He} thought and thought.|"What can I do?" {he} asked {his} {helper}.|{He} walked {place} and looked for an idea.] [Then {he} had an idea.|"A present does not have to cost money," said {his} {helper}.]',
    "{He} [found a pretty {thing} and cleaned it until it was bright|painted a picture of {friend} with a(n) {colour} {hat}|made a(n) {treat}|made a(n) {toy2} out of wood and paper]. [It took all morning.|It was hard work, but {he} liked it.|{He} put it in a(n) {colour} box.]",
    'In the afternoon, all the friends came. [Some had big presents.|There was cake and music.|They sang a song.] {Hero} was worried. "[My present is so small|What if {f_he} does not like it]?" {he} thought.',
    'But when {friend} opened {hero}\'s present, {f_he} [smiled the biggest smile|gave {him} a big hug|was very quiet and then laughed with joy]. "[You made this for me?|This is the best present of all!]" {f_he} said. "I will keep it for ever."',
    "[{Hero} felt warm inside.|Then they all danced until it was dark.|{Hero} and {friend} ate cake together.] [The best presents come from the heart.|It was the best birthday ever.]",
)
RAIN = (
    "{Hero} and {friend} wanted to [have a picnic {place}|go {place_to}|fly a kite {place}]. [They packed {treats} and a blanket.|They were so excited that they could not sleep.|They had waited for this day all week.]",
    'But when they [were ready to go|went outside|came to the door], [big gray clouds came|it began to rain|the wind blew and the rain fell]. ["Oh no!" said {hero}. "Our day is spoiled!"|"I hate rain," said {friend}.|They looked out of the window and were sad.]',
    '[{His_helper} had an idea.|Then {hero} had an idea.|{Friend} looked around the room.] "[We can have the picnic inside|We can play here|Let us make our own fun]!" [They put the blanket on the floor.|They built a tent out of chairs and blankets.|They made a house out of a big box.]',
    "They [ate {treats} in their tent|told stories about a brave {animal}|played that the floor was the sea and the bed was a boat]. [They laughed so much that they forgot the rain.|The rain on the roof sounded like a song.|]",
    '[When the rain stopped, there was a rainbow in the sky.|Then the sun came out, and they jumped in the puddles.|In the evening the rain was gone, but they did not want to leave their tent.] ["This was the best day," said {hero}.|"I like rain now," said {friend}.] [A bad day can become a good day.|And they wished for rain the next day too.|]',
)
LOSTWAY = (
    "One day, {hero} [followed a(n) {colour} butterfly|was looking for berries|chased a leaf in the wind] {place}. [{He} went farther and farther.|{He} did not look where {he} was going.] Soon {he} did not know where {he} was.",
    '[It was getting dark.|Everything looked strange.|There was nobody around.] ["Where is my home?" {he} cried.|{Hero} was afraid and began to cry.|"I am lost," {he} said in a small voice.]',
    'Then a(n) [old|wise|friendly] {animal} came by. "Why are you [sad|crying]?" it asked. "I [cannot find my home|do not know the way home]," said {hero}. "[What can you see from your home?|What is near your house?]" asked the {animal}.',
    '{Hero} thought hard. "[There is a big tree with a swing|There is a river and a small bridge|There is a house with a(n) {colour} door]," {he} said. "Ah," said the {animal}, "[I know that place|I have seen it]. [Follow me!|Come with me.]"',
    "They went [over the hill and along the river|through the trees|down a long path]. [The {animal} told {him} a story so that {he} was not afraid.|The moon showed them the way.|] [At last {hero} saw a light.|Then {he} saw {his} own house.]",
    '"{Hero}!" called {his} {helper}. "[We were so worried!|There you are!]" [{Hero} ran into {helper_his} arms.|They hugged for a long time.] ["I will not go so far away again," {he} promised.|The {animal} got a big bowl of soup and stayed for the night.|From then on, {hero} always remembered the way.]',
)
