package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.os.PowerManager
import android.os.SystemClock
import android.view.MotionEvent
import android.view.Surface
import android.view.View
import android.widget.SeekBar
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Size
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import java.io.File

/**
 * Tests the screen on Robolectric's Android 15, with the real ONNX Runtime, the demo model and a fake camera. Slow
 * calls on the main thread end a test.
 */
@RunWith(RobolectricTestRunner::class)
class MainActivityTest {
    private val firstController = Robolectric.buildActivity(MainActivity::class.java)
    private val controllers = mutableListOf<ActivityController<MainActivity>>()
    private val camera get() = fakeApplication.camera

    private fun launch(
        controller: ActivityController<MainActivity> = firstController,
        state: Bundle? = null,
    ): MainActivity {
        controllers += controller
        return (if (state == null) controller.setup() else controller.setup(state)).get()
    }

    private fun destroy(controller: ActivityController<MainActivity>) {
        controllers -= controller
        controller.pause().stop().destroy()
    }

    /** Releases models and threads. */
    @After
    fun destroyAll() = controllers.toList().forEach(::destroy)

    private fun grantCameraPermission() = shadowOf(fakeApplication).grantPermissions(Manifest.permission.CAMERA)

    private fun launchLive(): MainActivity {
        grantCameraPermission()
        push(demoModel)
        return launch().also { await("camera") { camera.running != null } }
    }

    private fun choosePhoto(activity: MainActivity, file: File = goldenFile("demo.png")) {
        activity.press("Choose a photo")
        val request = shadowOf(activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_GET_CONTENT, request.intent.action)
        shadowOf(activity).receiveResult(request.intent, Activity.RESULT_OK, Intent().setData(Uri.fromFile(file)))
        shadowOf(activity).clearNextStartedActivities()
    }

    private val Activity.description get() = "${findView<FrameView>().contentDescription}"

    private fun awaitPrediction(activity: MainActivity) = await("prediction") { "%" in activity.description }

    private fun deliverScene() {
        awaitIdleInference()
        camera.deliver(scene("portrait").crop(40, 40, Size(320, 256)))
    }

    private val keepsScreenOn get() = controllers.first().get().visibleViews().any { it.keepScreenOn }

    @Test
    fun `explains how to add a model if there is none`() {
        val activity = launch()
        await("message") { activity.shows("There is no model on this device") }
        push(goldenFile("stub.onnx"))
        activity.press("Search again")
        await("error message") { activity.shows("cannot load stub.onnx") }
    }

    /** A damaged file, or the manifest of another file, gives an error message and a choice of models. */
    @Test
    fun `reports a damaged artifact and offers other models`() {
        push(goldenFile("stub.onnx"))
        File(pushFolder(), "stub.onnx").appendText("more")
        val activity = launch()
        await("message") { activity.shows("is not the file its manifest describes") }
        activity.press("Choose a model")
        assertTrue(activity.shows("Threads"))
    }

    @Test
    fun `requests the camera permission once and handles denial`() {
        push(demoModel)
        val activity = launch()
        await("permission request") { shadowOf(activity).lastRequestedPermission != null }
        val request = shadowOf(activity).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), request.requestedPermissions.toList())
        activity.onRequestPermissionsResult(
            request.requestCode, request.requestedPermissions, intArrayOf(PackageManager.PERMISSION_DENIED),
        )
        assertTrue(activity.shows("The live view needs the camera permission"))
        activity.press("Open settings")
        assertEquals("package:${context.packageName}", "${shadowOf(activity).nextStartedActivity.data}")
        choosePhoto(activity)
        awaitPrediction(activity)
        assertFalse(activity.shows("needs the camera permission"))
    }

    /** Android may end the process behind the permission dialog; a second dialog at once would be rude. */
    @Test
    fun `remembers over the end of the process that it asked for the camera`() {
        push(demoModel)
        val activity = launch()
        await("permission request") { shadowOf(activity).lastRequestedPermission != null }
        val state = Bundle()
        firstController.saveInstanceState(state)
        destroy(firstController)
        val next = launch(Robolectric.buildActivity(MainActivity::class.java), state)
        await("message") { next.shows("The live view needs the camera permission") }
        assertEquals(null, shadowOf(next).lastRequestedPermission)
    }

    @Test
    fun `shows the picture of the camera with its prediction`() {
        val activity = launchLive()
        assertEquals(Size(256, 320), camera.running)
        deliverScene()
        awaitPrediction(activity)
        assertTrue(activity.description, activity.description.startsWith("Live picture: "))
        assertTrue("bus" in activity.description && "road" in activity.description)
    }

    @Test
    fun `offers photos on a device without a camera`() {
        val activity = launchLive()
        camera.fail(CameraProblem(CameraProblem.Kind.MISSING))
        await("message") { activity.shows("This device has no camera. Choose a photo instead.") }
    }

    @Test
    fun `starts the camera again after another app took it`() {
        val activity = launchLive()
        camera.fail(CameraProblem(CameraProblem.Kind.BUSY))
        await("message") { activity.shows("Another app is using the camera.") }
        camera.stop()
        activity.press("Try again")
        assertNotNull(camera.running)
        assertFalse(activity.shows("Another app"))
    }

    /** A phone can have a second display with another rotation. */
    @Test
    @Suppress("DEPRECATION") // the display of a test
    fun `uses the rotation of the display that shows the activity`() {
        val activity = launchLive()
        for ((rotation, degrees) in listOf(Surface.ROTATION_90 to 90, Surface.ROTATION_180 to 180, Surface.ROTATION_270 to 270)) {
            shadowOf(activity.windowManager.defaultDisplay).setRotation(rotation)
            activity.onConfigurationChanged(activity.resources.configuration)
            assertEquals(degrees, camera.displayRotation)
        }
    }

    @Test
    fun `gives the preview a surface of its own`() {
        val activity = launchLive()
        deliverScene()
        camera.offerPreview(Size(480, 640))
        await("preview") { activity.visibleViews().any { it is android.view.SurfaceView } }
        assertTrue(activity.findView<FrameView>().isPictureBehind)
        camera.offerPreview(null)
        await("frames again") { !activity.findView<FrameView>().isPictureBehind }
    }

    @Test
    fun `keeps the screen on only while the camera runs`() {
        val activity = launchLive()
        assertTrue(keepsScreenOn)
        activity.press("Freeze the picture")
        assertFalse("paused", keepsScreenOn)
        activity.press("Continue the live view")
        assertTrue(keepsScreenOn)
        choosePhoto(activity)
        awaitPrediction(activity)
        assertFalse("a photo", keepsScreenOn)
        assertEquals(null, camera.running)
    }

    /** The picture that was asked for must not be replaced by the camera's last one. */
    @Test
    fun `a camera frame in flight does not cover a chosen photo`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        choosePhoto(activity)
        await("photo") { activity.shows("demo_panoptic") && "Photo" in activity.description }
        deliverScene() // the camera stops a little later
        awaitPrediction(activity)
        val picture = checkNotNull(activity.findView<FrameView>().snapshot())
        val photo = readPicture(goldenFile("demo.png")).size
        assertEquals(photo.width.toDouble() / photo.height, picture.width.toDouble() / picture.height, 0.01)
    }

    @Test
    fun `freezes a picture with its own overlay`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        activity.press("Freeze the picture")
        deliverScene()
        await("stopped camera") { camera.running == null }
        activity.press("Continue the live view")
        assertNotNull(camera.running)
    }

    @Test
    fun `predicts, describes and shares a photo`() {
        val activity = launchLive()
        choosePhoto(activity)
        awaitPrediction(activity)
        activity.press("Share the picture")
        await("chooser") { shadowOf(activity).peekNextStartedActivity()?.action == Intent.ACTION_CHOOSER }
        val sent = sentIntent(activity)
        assertEquals(Intent.FLAG_GRANT_READ_URI_PERMISSION, sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION)
        val text = sent.getStringExtra(Intent.EXTRA_TEXT).orEmpty()
        assertTrue(text, "Inference: median" in text && "CPU: all operators" in text && "Thermal status: none" in text)
    }

    @Suppress("DEPRECATION") // its replacement needs Android 13
    private fun sentIntent(activity: MainActivity): Intent =
        checkNotNull(shadowOf(activity).nextStartedActivity.getParcelableExtra(Intent.EXTRA_INTENT))

    @Test
    fun `shares the figures`() {
        val activity = launchLive()
        choosePhoto(activity)
        awaitPrediction(activity)
        activity.press(activity.visibleViews().map { "${it.contentDescription}" }.single { "Latency details" in it })
        assertTrue(activity.shows("Inference") && activity.shows("p90") && activity.shows("Thermal status: none"))
        activity.press("Share these figures")
        assertTrue("total: median" in sentIntent(activity).getStringExtra(Intent.EXTRA_TEXT).orEmpty())
    }

    @Test
    fun `shows the thermal status`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        activity.press(activity.visibleViews().map { "${it.contentDescription}" }.single { "Latency details" in it })
        shadowOf(context.getSystemService(PowerManager::class.java)).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        await("status") { activity.shows("Thermal status: severe") }
    }

    @Test
    fun `reports a photo that no longer exists`() {
        push(demoModel)
        val activity = launch()
        choosePhoto(activity, goldenFile("deleted.png"))
        await("message") { activity.shows("This picture cannot be read") && "Choose a photo" in activity.texts() }
    }

    /** A change of the font size recreates the activity: the model must not load again. */
    @Test
    fun `a recreated activity keeps model, picture and settings`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        val before = camera
        activity.press("Legend")
        firstController.recreate()
        val next = firstController.get()
        assertTrue(next !== activity)
        assertTrue("the legend is still open", next.shows("road"))
        awaitPrediction(next)
        assertTrue("the camera is the same", camera === before && camera.running != null)
        assertEquals(0, next.texts().count { it.startsWith("Loading") })
    }

    /** Android ends processes in the background. Photo and settings must be restored. */
    @Test
    fun `a new process restores its state`() {
        grantCameraPermission()
        push(demoModel)
        context.getSharedPreferences("choice", 0).edit().putInt("threads", 1).apply()
        val activity = launch()
        choosePhoto(activity)
        awaitPrediction(activity)
        val state = Bundle()
        firstController.saveInstanceState(state)
        destroy(firstController)
        val next = launch(Robolectric.buildActivity(MainActivity::class.java), state)
        awaitPrediction(next)
        assertTrue("${next.texts()}", next.shows("1 thread"))
        assertTrue(next.visibleViews().any { it.contentDescription == "Back to the camera" })
    }

    @Test
    fun `can be destroyed while a model loads`() {
        push(demoModel)
        launch()
        destroy(firstController)
        Thread.getAllStackTraces().keys.filter { it.name == "inference" }.forEach { it.join(20_000) }
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    @Test
    fun `returns from a photo to the camera`() {
        val activity = launchLive()
        choosePhoto(activity)
        awaitPrediction(activity)
        activity.press("Back to the camera")
        assertNotNull(camera.running)
        assertEquals("Live picture", activity.description)
    }

    @Test
    fun `selects, isolates and deselects a segment`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        val view = activity.findView<FrameView>()
        assertTrue(view.performClick())
        await("selection") { activity.shows("of the picture") }
        activity.press("Isolate")
        assertTrue("Show all" in activity.texts())
        activity.press("Select nothing")
        assertFalse(activity.shows("of the picture"))
    }

    @Test
    fun `a tap selects the segment below it`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        val view = activity.findView<FrameView>()
        tap(view, view.width / 2f, view.height - 4f)
        await("selection") { "road" in activity.texts() }
    }

    /** A screen reader cannot tap a part of a view. */
    @Test
    fun `screen readers can select, zoom and press everything`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        val view = activity.findView<FrameView>()
        val actions = view.createAccessibilityNodeInfo().actionList
        val names = actions.mapNotNull { it.label }.map { "$it" }
        assertEquals(
            listOf("Select the next object", "Select the previous object", "Select nothing", "Zoom in", "Zoom out"), names,
        )
        val before = view.zoom.factor
        assertTrue(view.performAccessibilityAction(actions.single { it.label == "Zoom in" }.id, null))
        assertTrue(view.zoom.factor > before)
        assertTrue(view.performAccessibilityAction(actions.single { it.label == "Select the previous object" }.id, null))
        await("selection") { activity.shows("of the picture") }
        val nameless = activity.visibleViews().filter { it.isImportantForAccessibility && it.hasOnClickListeners() }
            .filter { it.contentDescription.isNullOrEmpty() && (it as? android.widget.TextView)?.text.isNullOrEmpty() && it !is android.view.ViewGroup }
        assertEquals(emptyList<View>(), nameless)
    }

    @Test
    fun `everything that can be pressed is at least 48 dp`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        activity.findView<FrameView>().performClick()
        await("selection") { activity.shows("of the picture") }
        for (open in listOf({}, { activity.press("Legend") }, { openSettings(activity) })) {
            open()
            shadowOf(android.os.Looper.getMainLooper()).idle()
            val smallest = 48 * activity.resources.displayMetrics.density
            val small = activity.visibleViews()
                .filter { it.hasOnClickListeners() || it is SeekBar }
                .filter { it.height > 0 && (it.height < smallest || it.width < smallest) }
            assertEquals(emptyList<View>(), small)
        }
    }

    private fun openSettings(activity: MainActivity) =
        activity.press(activity.visibleViews().map { "${it.contentDescription}" }.single { "Change model" in it })

    @Test
    fun `changes opacity and threads`() {
        val activity = launchLive()
        openSettings(activity)
        activity.findView<SeekBar>().progress = 5
        assertEquals(0.25f, activity.findView<FrameView>().options.opacity)
        activity.press("1")
        await("new threads") { activity.shows("1 thread") && camera.running != null }
        activity.press("Close")
        assertFalse(activity.shows("Threads"))
    }

    @Test
    fun `compares two models on the same frame`() {
        grantCameraPermission()
        push(demoModel)
        push(demoParts)
        val activity = launch()
        await("camera") { camera.running != null }
        activity.press("Compare two models")
        await("two models") { activity.shows(" | ") && camera.running != null }
        deliverScene()
        await("agreement") { activity.shows("of the pixels agree") }
        assertTrue("${activity.texts()}", activity.texts().any { "100% of the pixels agree" in it || "99" in it })
        activity.press("End the comparison")
        await("one model") { !activity.shows(" | ") && camera.running != null }
    }

    @Test
    fun `says that there is nothing to compare with`() {
        pushCompiled("stub.qnn")
        val activity = launch()
        await("listed") { activity.shows("stub.qnn") }
        activity.press("Compare two models")
        assertTrue(activity.shows("There is nothing to compare with"))
    }

    @Test
    fun `zooms by double taps`() {
        val activity = launchLive()
        deliverScene()
        awaitPrediction(activity)
        val view = activity.findView<FrameView>()
        doubleTap(view, 100f, 300f)
        assertTrue(view.zoom.factor > 1)
        doubleTap(view, 100f, 300f)
        assertEquals(1f, view.zoom.factor)
    }

    /** Otherwise the other tests would not notice a slow call. */
    @Test
    fun `slow calls on the main thread end a test`() {
        assertThrows(RuntimeException::class.java) { context.modelFolders() }
        assertThrows(RuntimeException::class.java) { SettingsStore(context) }
        assertThrows(RuntimeException::class.java) { readPhoto(context.contentResolver, Uri.EMPTY) }
    }

    private fun tap(view: View, x: Float, y: Float) = touch(view, x, y, times = 1)

    private fun doubleTap(view: View, x: Float, y: Float) = touch(view, x, y, times = 2)

    private fun touch(view: View, x: Float, y: Float, times: Int) {
        var now = SystemClock.uptimeMillis() + 10_000 // later than the taps before, so that they do not combine
        repeat(times) {
            for (action in listOf(MotionEvent.ACTION_DOWN, MotionEvent.ACTION_UP)) {
                val event = MotionEvent.obtain(now, now, action, x, y, 0)
                view.onTouchEvent(event)
                event.recycle()
                now += 50
            }
        }
        shadowOf(android.os.Looper.getMainLooper()).idleFor(java.time.Duration.ofSeconds(20))
    }
}
