# ruff: noqa: E501, SIM905 - word lists read best as lines
"""Ordinary nouns, which training also uses as names of rooms, devices, people and tools: a name is read, not known.

lexicon.made_up draws them and leaves out what is listed there; topics.py writes about them.
"""

EVERYDAY = tuple(
    """
    acorn airport album alley almond anchor angel ankle apron arch arrow artist autumn avenue axe badge bakery
    balloon bamboo banana bandage bank banner barrel beach bead beard beaver beetle bench bicycle blanket blossom board boat
    bolt bone boot border bottle boulder bowl bracelet branch brass breeze brick bridge broom brush bubble bucket buckle
    bundle bus bush butcher cabin cable cactus cage calendar camel camp canal candy canoe canvas cape captain card cargo
    carpet carriage cart castle cave cedar ceiling cereal chain chair chalk channel chapel cherry chest chimney chin
    circle circus clay cliff clinic clock cloth cloud clover coal coast coat cobweb coconut collar column comb comet
    compass copper coral cork cottage cotton couch counter court cousin cradle crane crayon cream creek cricket crown crumb
    crystal cube cupboard curb cushion cyclist daisy dancer dawn deck deer desert desk dial diamond diary dinner dish dock
    dome donor dragonfly drawer dress drill drop dune dust eagle ear earring echo edge elbow elevator engine envelope
    evening exit eye fable falcon feather fence fern ferry festival fiddle field fig finger fireplace flag flame flock
    floor flood fog forest fork fort forum frame freight friend frost fruit funnel fur gallery gem gift ginger glass globe glove
    glue grain grape grass gravel guest guide guitar hail hammer hammock handle harbor harp harvest hatch hawk hazel heart
    hedge helmet herb herd heron hill hinge hive hoof hook horizon horn hotel hut iceberg icicle igloo ink inn insect island
    ivory jacket jar jelly jewel jigsaw joker journey judge jug jungle kernel kettle king kitten knee knight knot label ladder
    lagoon lake lane lawn leaf leather lemon lens letter lid lilac lily lime linen lizard lobby lobster locker log lotus
    lunchbox magnet maple marble market mask mast match meadow medal menu merchant metal meteor mint mitten model mole moss
    moth motor mountain mud mug mule mushroom nail neck needle nest net nickel noon nose notebook nut oak oar oasis oat ocean
    olive opera orchard orchid organ otter oven oyster package paddle page pail palace palm pan panda panel parade parcel
    park parrot party passport pasture path patio paw pea peach peacock pearl pebble pedal pen pencil perch petal piano
    picnic pigeon pillow pine pipe pirate planet plank plate plaza plow plum pocket pole pond pony port post postcard pot
    powder prince prize pulley pump purse pyramid queen quill quilt racket radish raft rail rainbow raisin ranch raven razor
    reef ribbon ridge river road rock rocket rope route rug ruler saddle sail salad salmon sand sandal sauce saucer
    sausage scale school scissors scooter seal seat seed shadow shark shelf shell shield ship shirt shoe shore shovel shrub
    sidewalk signal silk skate sketch skirt sky sled sleeve slope smoke snail sock sofa soldier spark sparrow spice
    spike spinach sponge spoon spring stadium stage stair stamp starfish statue steam steel stem step stone stool storm
    stove stranger straw stream street string submarine suitcase summit sunset swan sweater swing sword table tail tank
    tape target taxi temple tent theater thorn thread throne thumb thunder ticket tide tiger tile tin tool tooth torch towel
    town tractor trail tray treasure tree trophy truck trumpet trunk tub tunnel twig uncle uniform van vase vault
    vest village vine violin visitor volcano wagon waiter wall walnut wand warehouse wasp waterfall wave wax weaver well
    whale wheel widow willow window wing winter wire wizard wood wool worm wreath wrist yard yarn yacht zebra zipper
    """.split()
)
