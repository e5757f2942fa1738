"""Word lists of the problem generator. Every list is fixed: changing one changes the data made from a seed."""


def _w(text):
    """Splits a block of text into words; an underscore stands for a space inside one entry."""
    return tuple(word.replace("_", " ") for word in text.split())


FEMALE = _w("""
Abigail Ada Adela Agnes Aisha Alana Alba Alice Alicia Alma Amara Amelia Amina Amy Ana Anaïs Andrea Angela Anita Anna
Annika Antonia Anya April Ariana Asha Astrid Audrey Aurora Ava Ayla Aylin Bea Beatrice Bella Bernadette Beth Bianca
Birgit Blanche Bonnie Bridget Camille Carla Carmen Carol Caroline Cecilia Celeste Celia Chantal Charlotte Chiara Chloe
Christina Clara Claudia Colette Cora Cordelia Cynthia Dagmar Dahlia Daisy Dana Daniela Daphne Daria Deborah Delia Diana
Dolores Dora Doris Dorothy Edith Eileen Elena Elise Eliza Ella Ellen Elodie Eloise Elsa Emilia Emily Emma Erica Erin
Esmé Estelle Esther Eva Evelyn Faith Fatima Felicia Fiona Flora Florence Frances Freya Frida Gabriela Gemma Genevieve
Georgia Gertrude Gina Giulia Gloria Grace Greta Gwen Hana Hannah Harriet Hazel Heidi Helen Helena Hilda Holly Hope
Ida Ilse Imani Imogen Ines Inga Ingrid Irene Iris Isabel Isla Ivana Ivy Jade Jana Jane Janet Jasmine Jemima Jennifer
Jenny Jessica Jill Joan Johanna Josephine Joy Joyce Judith Julia Juliet June Karen Katarina Kate Katja Kavya Keiko
Kendra Kiara Kira Klara Kristen Lara Larissa Laura Leah Leila Lena Leonie Lila Lillian Lily Linda Lisa Livia Lola
Lorena Lorraine Lotte Louisa Lucia Lucy Luna Lydia Mabel Maddie Madeline Magda Maisie Malia Mara Marcella Margaret
Maria Mariam Marianne Marina Marta Martha Mary Matilda Maude Maya Megan Mei Melanie Melissa Mia Michelle Mila Milena
Mina Minna Mira Miranda Miriam Molly Mona Monica Muriel Nadia Nadine Nancy Naomi Natalie Natasha Nell Nia Nicole Nina
Noelle Nora Norma Odette Olga Olive Olivia Paloma Pamela Patricia Paula Pauline Pearl Peggy Penelope Petra Philippa
Phoebe Pia Pilar Pippa Polly Priya Rachel Ramona Rebecca Regina Renata Renée Rhea Rita Roberta Robin Rosa Rosalind Rose
Rosemary Rowena Roxanne Ruby Ruth Sabine Sabrina Sadie Salma Samantha Samira Sana Sandra Sara Saskia Selma Serena
Shirley Sienna Sigrid Silvia Simone Sofia Sonja Stella Stephanie Susan Suzanne Svetlana Sybil Sylvie Tamara Tania Tara
Tessa Thea Thelma Theresa Tilda Tilly Tina Tova Trudy Una Ursula Valentina Valerie Vanessa Vera Veronica Victoria
Viola Violet Vivian Wanda Wendy Willa Wilma Winifred Xenia Yara Yasmin Yoko Yolanda Yuki Yvonne Zahra Zara Zelda Zoë
""")

MALE = _w("""
Aaron Abdul Abel Adam Adrian Ahmed Alan Albert Alberto Aldo Alec Alexander Alfie Alfred Ali Alistair Amir Amos Anand
Anders André Andrew Angus Anthony Anton Archie Ari Armin Arnold Arthur Arturo Arvid Asher Axel Barnaby Barry Bartek
Basil Ben Benedict Benjamin Bernard Björn Bo Bob Boris Brandon Brendan Brian Bruno Caleb Callum Calvin Carl Carlos
Cedric Cesar Charles Chester Christian Christopher Clark Claude Clement Cliff Clive Cole Colin Connor Conrad Cosmo
Craig Curtis Cyril Damian Daniel Darius Darren David Dean Declan Dennis Derek Desmond Diego Dieter Dimitri Dirk
Dominic Donald Douglas Duncan Dylan Edgar Edmund Eduardo Edward Edwin Eli Elias Elijah Elliot Elmer Emil Emmanuel Enzo
Eric Ernest Esteban Ethan Eugene Evan Fabian Farid Felipe Felix Ferdinand Fergus Finn Floyd Francis Franco Frank
Franz Fred Frederick Gabriel Gareth Gary Gavin Geoffrey George Gerald Gerhard Gilbert Giovanni Glenn Gordon Graham
Grant Gregory Guido Günther Gustav Hamish Hank Hans Harold Harry Harvey Hassan Hector Heinz Henrik Henry Herbert Herman
Hiroshi Horace Howard Hubert Hugh Hugo Ian Ibrahim Ignacio Igor Imran Isaac Isaiah Ivan Jack Jacob Jacques Jai Jake
Jamal James Jared Jasper Javier Jay Jean Jeremy Jerome Jesse Joachim Joaquin Joe Joel John Jonah Jonas Jonathan Jorge
José Joseph Joshua Juan Jude Jules Julian Jürgen Karim Karl Kazuo Keith Kenji Kenneth Kevin Khalid Kofi Konrad Kurt
Kwame Kyle Lance Lars Laurence Leo Leon Leonard Leroy Leslie Levi Lewis Liam Lionel Logan Lorenzo Louis Luca Lucas
Ludwig Luigi Luis Luke Luther Łukasz Magnus Malcolm Manfred Manuel Marc Marcel Marco Marcus Mario Mark Marko Martin
Marvin Mateo Matthew Maurice Max Maxim Melvin Michael Miguel Mikael Milan Miles Milo Mohammed Morgan Morris Moses
Mustafa Nathan Ned Neil Nelson Niall Nicholas Nico Nigel Niklas Noah Noel Norman Oliver Omar Orlando Oscar Osman Oswald
Otis Otto Owen Pablo Pascal Patrick Paul Pavel Pedro Percy Perry Peter Philip Pierre Piotr Quentin Quincy Rafael Raj
Ralph Ramon Randolph Raúl Ravi Raymond Reginald René Reuben Rhys Ricardo Richard Robert Roberto Rodney Roger Roland
Roman Ronald Rory Ross Rowan Roy Rudolf Rufus Rupert Russell Ryan Salim Salvador Sam Samuel Sanjay Saul Scott Sean
Sebastian Sergei Seth Shane Sidney Silas Simon Solomon Søren Spencer Stanley Stefan Stephen Steven Stuart Sven
Tadeusz Tariq Ted Terence Theo Theodore Thomas Tim Timothy Tobias Toby Todd Tom Tomás Toni Travis Trevor Tristan
Tyler Umberto Uwe Vernon Victor Viktor Vikram Vincent Vito Vladimir Wade Wallace Walter Warren Wayne Wesley Wilbur
Wilfred Willem William Winston Wolfgang Xavier Yannick Yusuf Yves Zachary Zane Zeke Zoltan
""")

# Surnames and town names are a front and an end: a few hundred pieces give many thousand words.
NAME_FRONT = _w("""
Alder Apple Arm Ash Aver Bald Bark Barn Bath Beck Bell Berg Bex Birch Black Blen Bold Bram Brad Bray Brent Bright
Brock Brom Buck Burn Cald Cam Carl Castle Chal Chat Chest Clay Cliff Clough Cob Cole Cran Crick Cross Dal Dart Den
Dray Drum Dun East Eben Edge Elm Ever Fair Fal Farn Fen Fern Field Fitz Flint Fox Free Glas Gold Gran Grave Green Grim
Hack Had Hal Ham Hard Hart Hatch Haw Hay Heath Hem High Hol Holt Horn Hud Hunt Kel Ken Kirk Knap Lamb Lang Lark Laven
Leigh Lin Lock Long Lud Lyn Mal Mans Marsh May Mead Mel Mid Mill Moor Mor Net New North Nut Oak Old Orch Ox Pem Pen
Pick Pine Pol Pres Quill Rad Rams Raven Red Reed Ridge Ring Rock Ros Rush Rye Sand Sax Sea Shaw Shel Shire Silver
Sker Snow Somer South Stan Stark Stein Stock Stone Strat Sun Sut Swan Tam Tarn Thorn Thor Tim Tor Trent Twin Up Vale
Wake Wal Ward Wat Web Wel Wes West Wex Whit Wick Wil Wind Win Wolf Wood Wor Wren Wy Yar York
""")
SURNAME_END = _w("""
son man well wood worth ford field ley ton bury by dale ham house land ling low more mere ridge stead stone thorpe
ward wick win berg quist strom nell ney ster court croft bridge smith wright
""")
TOWN_END = _w("""
ton ford bury ham dale field mouth port wick ville stead bridge burgh haven chester combe cliff grove gate hill holm
hurst marsh pool shore water wood castle creek falls lake minster moor view
""")
SURNAMES = tuple(f + e for i, f in enumerate(NAME_FRONT) for j, e in enumerate(SURNAME_END) if (i * 7 + j * 3) % 5 == 0)
TOWNS = tuple(f + e for i, f in enumerate(NAME_FRONT) for j, e in enumerate(TOWN_END) if (i * 5 + j * 3) % 4 == 0)
TITLES = _w("Mr. Mrs. Ms. Dr. Aunt Uncle Captain Professor Grandma Grandpa Coach Sister Brother Cousin Miss Officer")
FEMALE_TITLES = _w("Mrs. Ms. Aunt Grandma Sister Miss")
MALE_TITLES = _w("Mr. Uncle Grandpa Brother")

# Things people own, singular. A name after a slash is an irregular plural.
THINGS = _w("""
marble sticker stamp coin card button bead ribbon crayon pencil pen eraser notebook ruler marker brush candle lantern
balloon kite ball puzzle doll robot car truck train boat rocket drum whistle flute bell magnet shell pebble feather
leaf/leaves acorn pinecone rose tulip daisy/daisies lily/lilies orchid daffodil sunflower carnation violet poppy/poppies
marigold peony/peonies book comic magazine postcard letter envelope poster photo painting map badge medal trophy/trophies
ring bracelet necklace earring brooch scarf/scarves hat cap glove mitten sock shirt sweater jacket belt tie coat apron
blanket pillow towel sheet curtain rug basket bucket jar bottle cup mug plate bowl spoon fork knife/knives tray
napkin lamp bulb battery/batteries candlestick vase mirror clock watch/watches key lock screw nail bolt hinge hook brick tile
plank stool chair table bench/benches shelf/shelves box/boxes crate barrel sack bag pouch/pouches purse wallet suitcase backpack
umbrella tent rope ladder hammer wrench/wrenches saw drill shovel rake broom mop sponge bar_of_soap comb hairbrush/hairbrushes
toothbrush/toothbrushes token ticket coupon voucher chip domino/dominoes die/dice chess_piece figurine statue mask costume
puppet yo-yo frisbee racket bat helmet skate ski oar paddle hoop net glider wheel tire gear spring cable plug charger
headphone speaker camera lens/lenses disc record cassette folder binder clip pin needle thimble spool patch/patches quilt cushion
seed bulb_of_garlic seedling sapling cactus/cactuses fern pot saucer kettle pan whisk ladle thermos flask beaker test_tube
telescope compass/compasses globe flag banner pennant lanyard keychain bookmark stapler calculator tablet keyboard wig crown wand
cape sword shield arrow horseshoe saddle leash/leashes collar birdhouse feeder trap lure anchor buoy lifejacket sandal boot slipper
sneaker shoelace zipper pocketknife/pocketknives flashlight matchbox/matchboxes brochure leaflet ballot certificate diary/diaries album
calendar scroll quill inkwell chalk_stick easel canvas/canvases palette stencil chisel mallet pulley gadget trinket jewel gem
ruby/rubies emerald sapphire pearl opal crystal fossil meteorite specimen jigsaw teddy_bear snow_globe music_box/music_boxes
""")
FOODS = _w("""
apple pear plum peach/peaches apricot cherry/cherries grape melon lemon lime orange banana mango/mangoes papaya kiwi fig date coconut
pineapple strawberry/strawberries blueberry/blueberries raspberry/raspberries blackberry/blackberries cranberry/cranberries
gooseberry/gooseberries tangerine grapefruit nectarine pomegranate olive walnut almond cashew peanut chestnut hazelnut
carrot potato/potatoes tomato/tomatoes onion turnip radish/radishes cucumber pumpkin squash/squashes cabbage lettuce beet leek pepper
mushroom cookie brownie cupcake muffin scone donut croissant bagel bun roll loaf/loaves pretzel waffle pancake tart pie cake biscuit
cracker candy/candies lollipop caramel truffle toffee mint gumdrop marshmallow chocolate jellybean sandwich/sandwiches burger taco
burrito pizza sausage meatball dumpling noodle samosa egg omelet cheese_stick yogurt pudding popsicle snack wrap kebab pasty/pasties
macaroon meringue eclair shortcake turnover gingerbread_man/gingerbread_men granola_bar rice_cake corn_cob artichoke avocado
""")
STUFFS = _w("flour sugar rice salt sand gravel clay cement coal corn wheat barley oats cheese butter coffee tea honey wool cotton "
            "compost grain hay cocoa lentils beans pasta soil birdseed fertilizer wax copper tin iron chocolate")
LIQUIDS = _w("milk water juice lemonade oil paint vinegar soup syrup cider broth tea coffee varnish glue ink petrol shampoo "
             "cream detergent punch sauce nectar broth")
PACKS = (("box", "boxes"), ("bag", "bags"), ("packet", "packets"), ("crate", "crates"), ("basket", "baskets"), ("carton", "cartons"),
         ("jar", "jars"), ("tray", "trays"), ("bundle", "bundles"), ("case", "cases"), ("pouch", "pouches"), ("sack", "sacks"),
         ("tin", "tins"), ("bucket", "buckets"), ("parcel", "parcels"), ("drawer", "drawers"), ("bin", "bins"), ("tub", "tubs"))
GROUPS = _w("""
student/students child/children visitor/visitors tourist/tourists player/players runner/runners dancer/dancers singer/singers
scout/scouts camper/campers guest/guests worker/workers volunteer/volunteers passenger/passengers sailor/sailors soldier/soldiers
actor/actors hiker/hikers swimmer/swimmers fan/fans knight/knights pupil/pupils musician/musicians climber/climbers skier/skiers
member/members athlete/athletes artist/artists farmer/farmers villager/villagers customer/customers cyclist/cyclists pilgrim/pilgrims
""")
ANIMALS = _w("""
dog cat rabbit hamster pony/ponies horse goat sheep/sheep cow pig chicken duck goose/geese turkey llama alpaca donkey fox/foxes
squirrel hedgehog badger otter beaver deer/deer moose/moose bear wolf/wolves lion tiger leopard cheetah panda koala kangaroo wombat
monkey gorilla zebra giraffe hippo rhino elephant camel parrot canary/canaries finch/finches robin sparrow pigeon dove owl hawk eagle
falcon crow raven magpie swan heron stork pelican penguin seagull puffin turtle tortoise lizard gecko iguana snake frog toad newt
salmon trout goldfish/goldfish shark whale dolphin seal walrus/walruses octopus/octopuses crab lobster snail beetle butterfly/butterflies
bee ant spider cricket ladybug moth dragonfly/dragonflies ferret gerbil guinea_pig mouse/mice chinchilla peacock ostrich/ostriches
""")
COLORS = _w("red blue green yellow purple pink brown black white gray silver golden turquoise maroon beige scarlet teal navy "
            "crimson lavender ivory amber violet copper olive indigo cream bronze magenta lilac")
ADJECTIVES = _w("""
tiny small little large big huge giant plain fancy shiny dull bright dark round square flat smooth rough soft hard heavy light
wooden plastic metal paper glass leather woolen cotton silk velvet ceramic rubber striped spotted dotted checkered painted carved
woven knitted handmade printed folded polished rusty dusty clean new old antique modern rare common cheap expensive precious
lucky magic secret special favorite perfect broken spare extra sturdy fragile hollow thick thin narrow wide curved crooked pointed
sparkling glowing colorful patterned embroidered engraved foreign local frozen fresh ripe sweet sour salty spicy crunchy crispy
juicy organic dried roasted baked homemade wrapped sliced miniature oversized waterproof foldable transparent decorated scented
vintage elegant rustic delicate cheerful funny charming famous unusual ordinary simple classic royal tropical northern
southern eastern western Italian French Spanish German Swedish Japanese Chinese Indian Turkish Greek Mexican Brazilian
Egyptian Moroccan Irish Scottish Dutch Danish Norwegian Polish Russian Persian Korean Thai Kenyan Peruvian
""")
MOODS = _w("""
kind clever patient careful cheerful quiet friendly generous honest brave gentle curious lively stubborn proud shy witty polite
thoughtful energetic creative hardworking talented absent-minded punctual sleepy grumpy calm nervous excited ambitious modest
loyal playful serious tidy messy skillful adventurous sensible helpful reliable humble eager mischievous graceful
optimistic sociable dedicated imaginative practical organized forgetful confident observant inventive respected beloved
""")
JOBS = _w("""
baker butcher teacher farmer gardener carpenter plumber electrician painter tailor barber librarian nurse doctor dentist pharmacist
lawyer judge pilot sailor fisherman driver mechanic engineer architect programmer scientist chemist biologist astronomer geologist
historian journalist photographer musician composer violinist pianist drummer dancer actor director poet novelist translator
sculptor potter weaver jeweler watchmaker shoemaker blacksmith locksmith bricklayer roofer welder miner lumberjack shepherd beekeeper
veterinarian zookeeper ranger firefighter detective guard soldier mayor clerk cashier accountant banker secretary manager waiter chef
cook florist grocer postman courier receptionist tour_guide flight_attendant lifeguard referee coach athlete gymnast swimmer
cyclist skater surfer magician clown juggler acrobat puppeteer caretaker cleaner window_cleaner bus_driver train_conductor
bookbinder glassblower candlemaker cheesemaker brewer winemaker miller tanner saddler upholsterer surveyor cartographer
optician therapist tutor lecturer professor researcher inspector auctioneer
""")
PLACES = _w("""
market bakery school library museum park garden farm orchard vineyard meadow forest lake river beach harbor island valley mountain
village castle church temple theater cinema stadium gym pool hospital clinic pharmacy station airport hotel restaurant café diner
kitchen workshop factory warehouse office bank post_office town_hall courthouse fire_station bookstore toy_shop hardware_store
supermarket mall grocery_store flower_shop pet_shop antique_shop gift_shop barn stable greenhouse windmill lighthouse bridge tower
fountain square playground campsite cabin cottage mansion apartment balcony attic basement garage classroom laboratory gallery
studio concert_hall ballroom circus zoo aquarium observatory planetarium nursery community_center youth_club sports_club
bus_stop ferry_terminal dock shipyard quarry mine sawmill brewery dairy laundry tea_house ice_rink skate_park ski_resort
amusement_park botanical_garden nature_reserve national_park riverbank hilltop courtyard terrace
""")
HOBBIES = _w("""
reading painting drawing knitting sewing baking cooking gardening hiking fishing swimming sailing rowing running cycling skating
skiing surfing climbing dancing singing juggling camping birdwatching photography chess origami pottery woodworking stargazing
poetry gymnastics archery fencing karate judo tennis badminton volleyball basketball football baseball cricket hockey golf rugby
bowling yoga embroidery calligraphy astronomy magic_tricks card_games board_games crossword_puzzles model_trains collecting_fossils
playing_the_violin playing_the_piano playing_the_guitar playing_the_trumpet playing_the_cello playing_the_harp
playing_the_accordion playing_the_clarinet writing_stories old_movies jazz opera folk_songs ballet geography history mathematics
biology chemistry physics languages
""")
WEATHER = _w("""
sunny rainy cloudy windy snowy foggy stormy chilly warm hot cold freezing mild humid misty breezy gloomy bright frosty drizzly
scorching pleasant gray icy blustery overcast clear muggy
""")
DAYS = _w("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _w("January February March April May June July August September October November December")
SEASONS = _w("spring summer autumn winter")
DAYPARTS = _w("morning afternoon evening night noon dawn dusk weekend")
EVENTS = _w("""
birthday_party wedding picnic school_fair village_festival harvest_festival charity_auction bake_sale concert parade carnival
science_fair book_fair flea_market yard_sale sports_day talent_show family_reunion graduation housewarming chess_tournament
cooking_contest art_exhibition boat_race costume_ball street_party fundraiser field_trip summer_camp treasure_hunt spelling_bee
anniversary farewell_dinner garden_party puppet_show flower_show food_fair dance_recital science_club_meeting movie_night
""")
SUBJECTS = _w("""
dragons pirates dinosaurs volcanoes planets comets glaciers deserts jungles oceans submarines airplanes railways castles
knights pyramids mummies vikings wizards ghosts explorers inventors emperors queens spies detectives robots satellites
earthquakes hurricanes tornadoes rainforests coral_reefs insects reptiles mammals fossils minerals bridges skyscrapers lighthouses
fairy_tales legends riddles proverbs recipes gardens orchestras painters
""")
ROOMS_WITH = _w("""
cupboard fireplace armchair sofa bookshelf carpet wardrobe staircase doorway windowsill ceiling wallpaper chandelier radiator oven
refrigerator freezer toaster dishwasher sink faucet bathtub doorbell mailbox hallway porch driveway fence gate chimney hammock
swing sandbox wheelbarrow tractor trailer wagon carriage sleigh scooter motorcycle bicycle tricycle minivan taxi tram ferry canoe
kayak raft yacht helicopter parachute piano guitar violin trumpet cello harp clarinet saxophone tambourine xylophone microphone
typewriter printer projector television radio telephone thermometer barometer microscope hourglass
""")
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# Words on signs, in many scripts, so that the bytes of UTF-8 are seen in training.
SIGNS = _w("""
Привет Спасибо рынок хлеб Добро_пожаловать молоко яблоко школа поезд фонарь цирк щука эхо юла ёлка Київ їжак ґанок
καλημέρα ψωμί αγορά θάλασσα φως ξύλο βιβλίο ΔΩΡΑ ήλιος ὁδός שלום לחם שוק תודה ספר מים סוס גן טוב ציפור مرحبا خبز سوق شكرا كتاب
ضوء ظل غابة قمر نافذة پنجره چای گل ژاله नमस्ते रोटी बाज़ार धन्यवाद फूल छाया ঝড় নদী বই ਸਤਿ ગામ தமிழ் வீடு తెలుగు ಕನ್ನಡ മലയാളം සිංහල
สวัสดี ตลาด ขอบคุณ ดอกไม้ ລາວ མཚོ မြန်မာ გამარჯობა პური ბაზარი წიგნი ჭიქა ձուկ հաց շուկա գիրք አማርኛ ዳቦ ខ្មែរ ᏣᎳᎩ ᐃᓄᒃ ᠮᠣᠩ
こんにちは パン 市場 ありがとう 本 花 猫 ラーメン ゆめ 안녕하세요 빵 시장 감사합니다 책 꽃 고양이 你好 面包 谢谢 书店 茶 龍 鶴 麵 飛 言 酒 金 鳥 黒 山 川 火 水
🍎 🎈 🐝 🚲 🧺 🌻 🥖 🦊 🪁 ☕ ★ ♫ ✿ ☂ ⚓ ✈ ❄ ∞ ≈ ½ ¾ √ π ← ↑ → ⇒ ■ ◆ № ™ … „Brot“ «pain» ‹thé› ÆØÅ þorn ð ħ ŋ ş ğ ı ő ű ů ř ť ď ņ ģ ķ ļ ǎ ǒ ə ɛ ɔ
Tiếng_Việt bánh_mì phở Xin_chào Nguyễn žluťoučký kůň půda żółw źrebię ćma węzeł smörgås fjäll brød Straße Übung Öl façade señor ¿Qué? ¡Hola! São
""")
ONSETS = _w("b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kn l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr tw v w wh y z")
VOWELS = _w("a a e e i i o o u u ai au ea ee ei eo ia ie io oa oo ou y")
CODAS = _w("b ck d f ft g l ld ll lt m mb mp n nd ng nk nn nt p r rch rd rk rm rn rs rt s sh ss st t tch th v x z")
